"""Which room may import which: data flows one way, and so do imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = {
    "amct_core": ROOT / "amct_core",
    "amct_caffe": ROOT / "plugins/amct_caffe/amct_caffe",
    "ascend_backend": ROOT / "plugins/ascend_backend/ascend_backend",
    "cpu_sim_backend": ROOT / "plugins/cpu_sim_backend/cpu_sim_backend",
}

MAY_IMPORT = {
    "amct_core": [],
    "amct_caffe": ["amct_core"],
    "ascend_backend": ["amct_core", "amct_caffe.model"],
    "cpu_sim_backend": ["amct_core"],
}
"""Of what we write; each package may import itself.

The demo alone takes a network through all packages.
"""

UNITS_OF_AMCT_CAFFE = [
    ["model"],
    ["user_modules"],
    ["qat"],
    ["passes"],
    ["runtime", "saving"],
    ["checks", "executors"],
    ["frontend", "layers"],
    ["training"],
    ["api", "demo"],
    ["ptq_api"],
    ["auto_nuq", "common", "tensor_decompose"],
    ["auto_calibration"],
    ["cli", "command_line"],
    ["__main__"],
    ["plugin"],
]
"""From the bottom to the top; ``__init__`` holds the public names alone."""

Import = tuple[str, str]
"""The module that imports, and what it imports, dotted."""


def imports_of(package: str) -> Iterator[Import]:
    """Yield every import of our own code in ``package``, those for type checkers left out."""
    folder = PACKAGES[package]
    for path in sorted(folder.rglob("*.py")):
        parts = [package, *path.relative_to(folder).with_suffix("").parts]
        module = ".".join(part for part in parts if part != "__init__")
        for imported in _imported(ast.parse(path.read_text(encoding="utf-8"))):
            if imported.split(".")[0] in PACKAGES:
                yield module, imported


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from _imported(node)


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_stands_below_it(package: str) -> None:
    allowed = [package, *MAY_IMPORT[package]]
    wrong = [
        f"{module} imports {imported}"
        for module, imported in imports_of(package)
        if not any(within(imported, each) for each in allowed)
        and not within(module, "amct_caffe.demo")
    ]
    assert wrong == []


def test_no_unit_of_amct_caffe_imports_one_above_it() -> None:
    level = {unit: number for number, units in enumerate(UNITS_OF_AMCT_CAFFE) for unit in units}
    wrong = []
    for module, imported in imports_of("amct_caffe"):
        if not within(imported, "amct_caffe") or module == "amct_caffe":
            continue
        mine, other = (name.split(".")[1] for name in (module, imported))
        if mine != other and level[mine] <= level[other]:
            wrong.append(f"{module} imports {imported}")
    assert wrong == []


def test_every_unit_of_amct_caffe_has_its_level() -> None:
    folder = PACKAGES["amct_caffe"]
    modules = {path.relative_to(folder).parts[0] for path in folder.rglob("*.py")}
    units = {module[:-3] if module.endswith(".py") else module for module in modules}
    known = {unit for units in UNITS_OF_AMCT_CAFFE for unit in units}
    assert units - {"__init__"} == known


@pytest.mark.parametrize("package", PACKAGES)
def test_the_units_of_a_package_import_each_other_in_one_direction(package: str) -> None:
    edges: dict[str, set[str]] = {}
    for module, imported in imports_of(package):
        mine, other = (name.split(".") for name in (module, imported))
        if other[0] == package and len(mine) > 1 and len(other) > 1 and mine[1] != other[1]:
            edges.setdefault(mine[1], set()).add(other[1])
    # The host loads the built-in plugin as it loads those of others, which import what they need.
    edges.get("plugins", set()).discard("builtin")
    assert _circle(edges) == []


def _circle(edges: dict[str, set[str]]) -> list[str]:
    """Return units that import each other in a circle; none if there is no circle."""
    left = {unit: set(targets) for unit, targets in edges.items()}
    while True:
        free = [unit for unit, targets in left.items() if not targets & left.keys()]
        if not free:
            return sorted(left)
        for unit in free:
            del left[unit]


def test_one_module_imports_caffe() -> None:
    found = []
    for package, folder in PACKAGES.items():
        for path in folder.rglob("*.py"):
            names = _imported(ast.parse(path.read_text(encoding="utf-8")))
            if any(name.split(".")[0] == "caffe" for name in names):
                found.append(f"{package}/{path.relative_to(folder)}")
    assert found == ["amct_caffe/runtime/pycaffe.py"]
