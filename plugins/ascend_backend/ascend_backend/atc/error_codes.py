"""What ``atc``'s error codes mean and what to do about them.

The table is data: ``error_codes.json`` beside this file.  The facts come from hicann/ge
docs/zh/user_guides/error_codes and from where parser/parser/caffe raises the codes; the sentences
are our own.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Mapping, Tuple

import attrs

_FILE = Path(__file__).with_name("error_codes.json")
_CODE = re.compile(r"(?<![A-Za-z0-9])[EW][1-9]\d{4}(?![A-Za-z0-9])")


@attrs.frozen
class ErrorCode:
    """One code of ``atc``.

    Attributes:
        id: ``E`` (error) or ``W`` (warning) and five digits.
        meaning: what ``atc`` found.
        what_to_do: how to get past it; starts with a verb.
    """

    id: str = attrs.field(validator=attrs.validators.matches_re(r"[EW]\d{5}"))
    meaning: str
    what_to_do: str


def explain(output: str) -> Tuple[ErrorCode, ...]:
    """Return the explanation of each code in ``output``, in the order of first appearance.

    A code that the table lacks is explained as unknown, not left out.
    """
    return tuple(_explanation(code) for code in dict.fromkeys(_CODE.findall(output)))


@functools.cache
def known_codes() -> Mapping[str, ErrorCode]:
    """Return the table by code."""
    entries = json.loads(_FILE.read_text(encoding="utf-8"))["codes"]
    return {entry["id"]: ErrorCode(**entry) for entry in entries}


def _explanation(code: str) -> ErrorCode:
    return known_codes().get(code) or ErrorCode(
        code,
        "This code is not in our table; the line of atc that holds it says more.",
        "Look it up in the error codes of your CANN version.",
    )
