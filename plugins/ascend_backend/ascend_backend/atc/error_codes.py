"""What ``atc``'s error codes mean and what to do about them.

The table is data: ``error_codes.json`` beside this file.  The facts come from hicann/ge
docs/zh/user_guides/error_codes and from where parser/parser/caffe raises the codes; the sentences
are our own.

Codes have changed twice.  In the middle of 2021 many of E110xx and E120xx gave way to E19999 or to
another code (Ascend/parser, branches r1.3.0 and r1.5.0).  After 2023 the codes of files and of the
first check, E190xx, became E130xx (Ascend/parser, master of December 2023; hicann/ge).
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Dict, Iterable, Mapping, Optional, Tuple

import attrs

_FILE = Path(__file__).with_name("error_codes.json")
_CODE = re.compile(r"(?<![A-Za-z0-9])[EW][1-9]\d{4}(?![A-Za-z0-9])")


def _tuple(codes: Iterable[str]) -> Tuple[str, ...]:
    return tuple(codes)


@attrs.frozen
class ErrorCode:
    """One code of ``atc``.

    Attributes:
        id: ``E`` (error) or ``W`` (warning) and five digits.
        meaning: what ``atc`` found.
        what_to_do: how to get past it; starts with a verb.
        formerly: the codes that older releases have for the same.
        today: the code that present releases have for the same; None: this one.
    """

    id: str = attrs.field(validator=attrs.validators.matches_re(r"[EW]\d{5}"))
    meaning: str
    what_to_do: str
    formerly: Tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    today: Optional[str] = None

    @property
    def heading(self) -> str:
        """The code, and in brackets what other releases have in its place."""
        if self.today is not None:
            return f"{self.id} ({self.today} in present releases)"
        if self.formerly:
            return f"{self.id} ({', '.join(self.formerly)} in older releases)"
        return self.id


def explain(output: str) -> Tuple[ErrorCode, ...]:
    """Return the explanation of each code in ``output``, in the order of first appearance.

    A code that the table lacks is explained as unknown, not left out.
    """
    return tuple(_explanation(code) for code in dict.fromkeys(_CODE.findall(output)))


@functools.cache
def known_codes() -> Mapping[str, ErrorCode]:
    """Return the table by code, codes of older releases included."""
    entries = json.loads(_FILE.read_text(encoding="utf-8"))["codes"]
    codes: Dict[str, ErrorCode] = {}
    for code in (ErrorCode(**entry) for entry in entries):
        codes[code.id] = code
        for old in code.formerly:
            codes[old] = ErrorCode(old, code.meaning, code.what_to_do, today=code.id)
    return codes


def _explanation(code: str) -> ErrorCode:
    return known_codes().get(code) or ErrorCode(
        code,
        "This code is not in our table; the line of atc that holds it says more.",
        "Look it up in the error codes of your CANN version.",
    )
