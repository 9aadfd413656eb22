"""Reads the text format."""

from __future__ import annotations

import re
from typing import List, NoReturn, Optional

from amct_core.errors import FileFormatError
from amct_core.textproto.scalars import Scalar
from amct_core.textproto.tree import Field, Message

_TOKEN = re.compile(
    r"""
    (?P<space>(?:[\s]|\#[^\n]*)+)
  | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  | (?P<number>-?\s*
      (?=(?P<digits>0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?))
      (?P=digits)(?![A-Za-z0-9_.]))
  | (?P<negative>-\s*(?:inf|infinity|nan)\b)
  | (?P<identifier>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<extension>\[[A-Za-z_][A-Za-z0-9_./-]*\](?=\s*[:{<]))
  | (?P<symbol>[{}<>:;,\[\]])
  | (?P<unknown>[\s\S])
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
# Linear in the length of the text: what a look-ahead has found is not taken apart again, and text
# that is no token is one, so that nothing is searched for behind it.

_CLOSING = {"{": "}", "<": ">"}
_MAX_DEPTH = 100
_BYTE_ORDER_MARK = "\ufeff"


def parse(text: str, file: Optional[str] = None) -> Message:
    """Return the message that ``text`` holds.

    Accepts what protobuf's parser accepts: comments, ``name: value``, ``name { }``, ``name: < >``,
    optional ``,`` or ``;`` between fields, lists ``[a, b]``, adjacent strings, hexadecimal and
    octal integers, ``f`` behind floats, ``[extension.names]``.  Nothing is dropped but comments.

    Args:
        text: the file's contents.
        file: its name, for messages.

    Raises:
        FileFormatError: naming file, line and column, what was found and what was expected.
    """
    return _Reader(text, file).message()


class _Reader:
    def __init__(self, text: str, file: Optional[str]) -> None:
        self._text = text
        self._file = file
        self._kinds: List[str] = []
        self._tokens: List[str] = []
        self._starts: List[int] = []
        self._lines: List[int] = []
        self._next = 0
        self._tokenize()

    def message(self) -> Message:
        message = Message(line=1, file=self._file)
        self._fields(message, "", 0)
        return message

    def _tokenize(self) -> None:
        position, line, text = 0, 1, self._text
        if text.startswith(_BYTE_ORDER_MARK):
            raise FileFormatError(
                "it begins with a byte order mark, which protobuf does not read; expected a field.",
                file=self._file,
                remedy="Save it as UTF-8 without a byte order mark.",
            )
        for match in _TOKEN.finditer(text):
            kind, token = str(match.lastgroup), match.group()
            if kind == "unknown":
                break
            if kind != "space":
                self._kinds.append("identifier" if kind == "negative" else kind)
                self._tokens.append(token)
                self._starts.append(position)
                self._lines.append(line)
            line += token.count("\n")
            position = match.end()
        if position != len(text):
            self._refuse_at(position, line, "a field name, a value or a bracket")
        self._kinds.append("end")
        self._tokens.append("")
        self._starts.append(len(text))
        self._lines.append(line)

    def _fields(self, message: Message, closing: str, depth: int) -> None:
        if depth > _MAX_DEPTH:
            self._refuse(f"at most {_MAX_DEPTH} levels of messages")
        while True:
            kind, token = self._kinds[self._next], self._tokens[self._next]
            if kind == "end" and not closing:
                return
            if closing and token == closing:
                self._next += 1
                return
            if kind not in ("identifier", "extension"):
                self._refuse(f"a field name or '{closing}'" if closing else "a field name")
            self._field(message, depth)

    def _field(self, message: Message, depth: int) -> None:
        name, line = self._tokens[self._next], self._lines[self._next]
        self._next += 1
        colon = self._skip(":")
        token = self._tokens[self._next]
        if token == "[" and colon:
            self._list(message, name, line, depth)
        elif token in _CLOSING:
            self._submessage(message, name, line, depth)
        elif colon:
            message.entries.append(Field(name, self._scalar(), line))
        else:
            self._refuse(f"':' or '{{' behind '{name}'")
        self._skip(",") or self._skip(";")

    def _list(self, message: Message, name: str, line: int, depth: int) -> None:
        self._next += 1
        if self._skip("]"):
            return
        while True:
            if self._tokens[self._next] in _CLOSING:
                self._submessage(message, name, line, depth)
            else:
                message.entries.append(Field(name, self._scalar(), line))
            if self._skip("]"):
                return
            if not self._skip(","):
                self._refuse("',' or ']'")

    def _submessage(self, message: Message, name: str, line: int, depth: int) -> None:
        closing = _CLOSING[self._tokens[self._next]]
        inner = Message(line=line, file=self._file)
        self._next += 1
        self._fields(inner, closing, depth + 1)
        message.entries.append(Field(name, inner, line))

    def _scalar(self) -> Scalar:
        kind, token = self._kinds[self._next], self._tokens[self._next]
        if kind not in ("string", "number", "identifier"):
            self._refuse("a value")
        self._next += 1
        if kind != "string":
            return Scalar("".join(token.split()), kind)
        pieces = [token]
        while self._kinds[self._next] == "string":
            pieces.append(self._tokens[self._next])
            self._next += 1
        return Scalar(" ".join(pieces), kind)

    def _skip(self, token: str) -> bool:
        if self._tokens[self._next] != token or self._kinds[self._next] == "string":
            return False
        self._next += 1
        return True

    def _refuse(self, expected: str) -> NoReturn:
        self._refuse_at(self._starts[self._next], self._lines[self._next], expected)

    def _refuse_at(self, position: int, line: int, expected: str) -> NoReturn:
        column = position - (self._text.rfind("\n", 0, position) + 1) + 1
        rest = self._text[position : position + 20].split("\n")[0]
        found = repr(rest) if position < len(self._text) else "the end of the file"
        raise FileFormatError(
            f"line {line}, column {column}: found {found}; expected {expected}.",
            file=self._file,
            remedy="Check brackets and quotes before this place.",
        )
