"""Importing the API costs nothing: Caffe and protobuf come in when a function needs them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HEAVY = (
    "numpy",
    "caffe",
    "google.protobuf",
    "onnx",
    "onnxruntime",
    "matplotlib",
    "numba",
    "llvmlite",
)


@pytest.mark.parametrize("statement", ["import amct_caffe", "from amct_caffe import amct"])
def test_it_imports_nothing_heavy(statement: str) -> None:
    code = f"import sys\n{statement}\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def in_folder(folder: Path, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stderr


def test_it_sets_logging_up_and_writes_nothing_yet(tmp_path: Path) -> None:
    assert in_folder(tmp_path, "import amct_caffe") == ""
    assert list(tmp_path.iterdir()) == []


def test_what_is_logged_then_is_seen_and_kept(tmp_path: Path) -> None:
    # As a layer does in a script that only trains.
    code = "import amct_caffe, logging; logging.getLogger('amct_caffe.layer').info('N is 3')"
    assert "INFO - [AMCT]:[<string>]: N is 3" in in_folder(tmp_path, code)
    assert "N is 3" in (tmp_path / "amct_log/amct_caffe.log").read_text()


def test_one_module_of_the_packages_imports_caffe() -> None:
    importers = [
        path.relative_to(ROOT).as_posix()
        for package in ("amct_core", "plugins")
        for path in (ROOT / package).rglob("*.py")
        if "tests" not in path.relative_to(ROOT).parts
        and _imports_caffe(ast.parse(path.read_text()))
    ]
    assert importers == ["plugins/amct_caffe/amct_caffe/runtime/pycaffe.py"]


def _imports_caffe(tree: ast.AST) -> bool:
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        if any(name.split(".")[0] == "caffe" for name in names):
            return True
    return False
