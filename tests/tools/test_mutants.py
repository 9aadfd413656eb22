"""The tool that changes the product: what it changes, and which tests it asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.mutants.areas import AREAS
from tools.mutants.changes import changes_of

ROOT = Path(__file__).resolve().parents[2]


def changed(folder: Path, source: str) -> set[str]:
    path = folder / "module.py"
    path.write_text(source)
    return {each.applied(path.read_bytes()).decode() for each in changes_of(folder, path)}


@pytest.mark.parametrize(
    ("source", "mutants"),
    [
        ("x = a < b", {"x = (a <= b)"}),
        ("x = a is None", {"x = (a is not None)"}),
        ("x = a and b", {"x = (a or b)"}),
        ("x = not a", {"x = (a)"}),
        ("x = 5", {"x = (6)", "x = (4)"}),
        ("x = True", {"x = (False)"}),
        ("x = a * b", {"x = (a / b)"}),
        ("x = a if b else c", {"x = (c if b else a)"}),
        ("if a:\n    f(b)", {"if (not a):\n    f(b)", "if a:\n    pass"}),
        ("def f():\n    raise E(1)", {"def f():\n    pass"}),
        ("é = 'ü'; x = -a", {"é = 'ü'; x = (a)"}),
    ],
)
def test_one_thing_is_changed_at_a_time(tmp_path: Path, source: str, mutants: set[str]) -> None:
    assert changed(tmp_path, source) == mutants


@pytest.mark.parametrize(
    "source",
    [
        '"""Text."""',
        "x: List[1]",
        "assert a == 1",
        "x = f'{a + 1}'",
        "if TYPE_CHECKING:\n    import a",
        "@lru_cache(maxsize=4)\ndef f(x: Literal[1]) -> Literal[2]:\n    return x",
        "def f():\n    return ConfigError('at most', 3)",
    ],
)
def test_what_no_test_can_see_stays(tmp_path: Path, source: str) -> None:
    assert changed(tmp_path, source) == set()


@pytest.mark.parametrize("area", AREAS, ids=lambda area: area.name)
def test_every_area_has_modules_and_tests(area: object) -> None:
    for pattern in area.modules:  # type: ignore[attr-defined]
        assert list(ROOT.glob(pattern)), pattern
    for path in area.tests:  # type: ignore[attr-defined]
        assert (ROOT / path).exists(), path
