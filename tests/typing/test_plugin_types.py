"""What a type checker says of a plugin: nothing of a right one, and which mistake of a wrong one.

``accepted/`` and ``refused/`` hold plugins.  In the latter, a line says how it must be refused.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
MARK = re.compile(r"# refused: ([a-z-]+)$")
ERROR = re.compile(r"(.+?):(\d+): error: .*\[([a-z-]+)\]$")

Found = Counter[tuple[str, int, str]]


def plugins(kind: str) -> list[Path]:
    return sorted((HERE / kind).glob("*.py"))


def settings(folder: Path) -> Path:
    """Write the project's settings of mypy, for the Python that runs: new mypys know no 3.9."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    changed, count = re.subn(
        r'(?m)^python_version = "3.9"$', f'python_version = "{version}"', project
    )
    assert count == 1
    path = folder / "pyproject.toml"
    path.write_text(changed, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What mypy finds in all the plugins, by file, line and kind; each once."""
    files = [str(path) for kind in ("accepted", "refused") for path in plugins(kind)]
    options = ["--config-file", str(settings(tmp_path_factory.mktemp("mypy")))]
    options += ["--cache-dir", str(ROOT / ".mypy_cache"), "--no-error-summary"]
    options += ["--hide-error-context", "--no-pretty"]
    output, faults, _ = api.run([*options, *files])
    assert faults == ""
    found: Found = Counter()
    for line in output.splitlines():
        match = ERROR.match(line)
        if match is not None:
            found[Path(match[1]).name, int(match[2]), match[3]] += 1
        else:
            assert ": note: " in line, line
    return found


@pytest.mark.parametrize("path", plugins("accepted"), ids=lambda path: path.stem)
def test_a_right_plugin_is_accepted(path: Path, errors: Found) -> None:
    assert [error for error in errors if error[0] == path.name] == []


@pytest.mark.parametrize("path", plugins("refused"), ids=lambda path: path.stem)
def test_each_mistake_is_found_where_it_is(path: Path, errors: Found) -> None:
    expected = {
        (path.name, number, match[1])
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := MARK.search(line))
    }
    assert expected, "it says no mistake"
    assert {error for error in errors if error[0] == path.name} == expected
