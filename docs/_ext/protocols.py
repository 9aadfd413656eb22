"""Classes that only type checkers see: what a plugin's own class has to have.

They stand behind ``if TYPE_CHECKING``, so autodoc cannot import them; their source tells the same.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from pathlib import Path
from typing import Dict, List, Tuple

from sphinx.ext.napoleon import GoogleDocstring

from amct_core import extensions

FOLDER = Path(extensions.__file__).parent


def named_in(text: str) -> List[str]:
    """Return the lines of reStructuredText of those protocols whose names stand in ``text``."""
    lines: List[str] = []
    for name, (module, node) in _all().items():
        if name in text:
            lines += ["", *_class(module, node)]
    return lines


def _all() -> Dict[str, Tuple[str, ast.ClassDef]]:
    """Return the hidden protocols of the extension modules by name, with their modules."""
    found: Dict[str, Tuple[str, ast.ClassDef]] = {}
    for file in sorted(FOLDER.glob("*.py")):
        for block in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
                for node in block.body:
                    if isinstance(node, ast.ClassDef):
                        found[node.name] = (f"{extensions.__name__}.{file.stem}", node)
    return found


def _class(module: str, node: ast.ClassDef) -> List[str]:
    lines = [f".. py:class:: {module}.{node.name}", "", *_said(node)]
    for method in node.body:
        if isinstance(method, ast.FunctionDef):
            returned = ast.unparse(method.returns) if method.returns is not None else "None"
            arguments = ast.unparse(method.args).replace("self, ", "").replace("self", "")
            signature = f"{method.name}({arguments}) -> {returned}"
            lines += ["", f"   .. py:method:: {signature}", "", *_indented(_said(method))]
    return lines


def _said(node: ast.ClassDef | ast.FunctionDef) -> List[str]:
    text = inspect.cleandoc(ast.get_docstring(node) or "")
    return _indented(str(GoogleDocstring(text)).splitlines())


def _indented(lines: List[str]) -> List[str]:
    return textwrap.indent("\n".join(lines), "   ").splitlines()
