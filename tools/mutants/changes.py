"""The changes that can be made to a module, each as a piece of source in place of another.

The kinds are those of P. Ammann and J. Offutt, "Introduction to Software Testing", section 9.2, as
far as they suit Python: relations, arithmetic, logic, constants, conditions, and statements that
are left out.
"""

from __future__ import annotations

import ast
import copy
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

import attrs

_RELATIONS = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}


@attrs.frozen
class Change:
    """One change.

    Attributes:
        path: of the module, from the root of the repository.
        line: from 1.
        kind: of change.
        start, end: places in the source, in bytes.
        old, new: what stands there, and what takes its place.
    """

    path: str
    line: int
    kind: str
    start: int
    end: int
    old: str
    new: str

    def applied(self, source: bytes) -> bytes:
        """Return the changed source."""
        return source[: self.start] + self.new.encode() + source[self.end :]

    def __str__(self) -> str:
        old, new = (" ".join(each.split())[:90] for each in (self.old, self.new))
        return f"{self.path}:{self.line} {self.kind} | {old} => {new}"


def changes_of(root: Path, path: Path) -> List[Change]:
    """Return every change of the module ``path`` that still compiles, in order."""
    source = path.read_bytes()
    finder = _Finder(path.relative_to(root).as_posix(), source)
    finder.visit(ast.parse(source))
    found = {(each.start, each.end, each.new): each for each in finder.found}
    return sorted(
        (each for each in found.values() if _compiles(each.applied(source))),
        key=lambda each: (each.start, each.end, each.new),
    )


def _compiles(source: bytes) -> bool:
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


class _Finder(ast.NodeVisitor):
    """Finds changes; leaves out what no test can see: annotations, messages, docstrings."""

    def __init__(self, path: str, source: bytes) -> None:
        self.path = path
        self.source = source
        self.found: List[Change] = []
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def _add(self, node: ast.AST, kind: str, new: str) -> None:
        start, end = self._span(node)
        old = self.source[start:end].decode()
        self.found.append(Change(self.path, node.lineno, kind, start, end, old, new))  # type: ignore[attr-defined]

    def _span(self, node: ast.AST) -> Tuple[int, int]:
        begin = self._lines[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = self._lines[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        return begin, end

    def _replace(self, node: ast.expr, kind: str, new: ast.expr) -> None:
        self._add(node, kind, f"({ast.unparse(new)})")

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leave messages alone."""

    def visit_Assert(self, node: ast.Assert) -> None:
        """Leave assertions alone."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Leave the annotation alone."""
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Leave annotations and decorators alone."""
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)
        for statement in node.body:
            self.visit(statement)

    def visit_If(self, node: ast.If) -> None:
        """Negate conditions; leave what is for type checkers alone."""
        if "TYPE_CHECKING" not in ast.dump(node.test):
            self._replace(node.test, "negate-if", ast.UnaryOp(ast.Not(), node.test))
            self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        """Swap both values."""
        self._replace(node, "swap-ifexp", ast.IfExp(node.test, node.orelse, node.body))
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """Change each relation to its neighbour."""
        for index, operator in enumerate(node.ops):
            other = _RELATIONS[type(operator)]()
            ops = [*node.ops[:index], other, *node.ops[index + 1 :]]
            self._replace(node, "compare", ast.Compare(node.left, ops, node.comparators))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """Change the operator."""
        other = _OPERATORS.get(type(node.op))
        if other is not None:
            self._replace(node, "arith", ast.BinOp(node.left, other(), node.right))
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """Change ``and`` to ``or``, and the other way round."""
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        self._replace(node, "andor", ast.BoolOp(other, node.values))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """Leave the operator out."""
        if isinstance(node.op, (ast.Not, ast.USub, ast.Invert)):
            self._replace(node, "unary", node.operand)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Change numbers by one, and turn truth values round."""
        if isinstance(node.value, bool):
            self._replace(node, "bool", ast.Constant(not node.value))
        elif isinstance(node.value, (int, float)):
            for kind, step in (("const+1", 1), ("const-1", -1)):
                self._replace(node, kind, ast.Constant(node.value + step))

    def visit_Raise(self, node: ast.Raise) -> None:
        """Leave the statement out; what is in it is a message."""
        self._add(node, "drop-raise", "pass")

    def visit_Return(self, node: ast.Return) -> None:
        """Change what is returned; a call of an error's class is a message."""
        if node.value is not None and not _is_error(node.value):
            self.visit(node.value)

    def visit_Expr(self, node: ast.Expr) -> None:
        """Leave calls out; docstrings and what is yielded alone."""
        if isinstance(node.value, ast.Call):
            self._add(node, "drop-call", "pass")
            for argument in node.value.args:
                self.visit(argument)
        elif isinstance(node.value, (ast.Yield, ast.YieldFrom)):
            self.generic_visit(node.value)


def _is_error(node: ast.expr) -> bool:
    name: Optional[str] = None
    if isinstance(node, ast.Call):
        function = copy.copy(node.func)
        name = getattr(function, "id", None) or getattr(function, "attr", None)
    return name is not None and name.lower().endswith("error")


def modules(root: Path, patterns: Tuple[str, ...]) -> Iterator[Path]:
    """Yield the modules that match one of ``patterns``, each once, in order."""
    yield from sorted({path for pattern in patterns for path in root.glob(pattern)})
