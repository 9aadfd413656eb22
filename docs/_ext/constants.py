"""The constants of a module: upper-case names with a docstring behind them."""

from __future__ import annotations

import ast
import importlib
import inspect
from typing import Any, List

import attrs


@attrs.frozen
class Constant:
    """One constant.

    Attributes:
        module: from which it is imported.
        name: in that module.
        value: what it holds.
        meaning: its docstring, in one line.
    """

    module: str
    name: str
    value: Any
    meaning: str


def constants_of(module_name: str) -> List[Constant]:
    """Return the constants of a module in the order of its source."""
    module = importlib.import_module(module_name)
    body = ast.parse(inspect.getsource(module)).body
    return [
        Constant(module_name, name, getattr(module, name), " ".join(said.split()))
        for statement, behind in zip(body, body[1:])
        for name in _name(statement)
        for said in _text(behind)
    ]


def table(module_name: str) -> str:
    """Return the constants of a module as Markdown; "" where it has none."""
    found = constants_of(module_name)
    if not found:
        return ""
    rows = [f"| `{each.name}` | `{each.value!r}` | {_code(each.meaning)} |" for each in found]
    head = f"Constants, from `{module_name}`; the text alone will do, too:"
    return "\n".join([head, "", "| name | value | meaning |", "|---|---|---|", *rows])


def _code(text: str) -> str:
    return text.replace("``", "`").replace("|", r"\|")


def _name(statement: ast.stmt) -> List[str]:
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return []
    target = statement.targets[0]
    is_constant = isinstance(target, ast.Name) and target.id.isupper()
    return [target.id] if is_constant and not target.id.startswith("_") else []


def _text(statement: ast.stmt) -> List[str]:
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Constant):
        return []
    said = statement.value.value
    return [said] if isinstance(said, str) else []
