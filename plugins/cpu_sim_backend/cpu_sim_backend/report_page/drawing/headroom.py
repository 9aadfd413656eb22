"""How near the integers of a layer come to what float32 and int32 can hold, in powers of two."""

from __future__ import annotations

import math
from typing import Tuple

import attrs

from amct_core.numerics.exactness import EXACT_LIMIT
from cpu_sim_backend.analysis.model import IntegerReport
from cpu_sim_backend.report_page import words
from cpu_sim_backend.report_page.drawing.scale import percent

INT32_LIMIT = 2**31 - 1
_BITS = 33
"""The width of a bar in bits: a little more than int32 needs, so that beyond it is seen."""


@attrs.frozen
class Bar:
    """A magnitude against its limit.

    Attributes:
        label: what it is.
        value: the magnitude in words.
        width: of the bar, in percent.
        limit: where the limit stands, in percent, and
        limit_label: what it is called.
        beyond: whether the limit is exceeded.
        verdict: how far it is from the limit and what that means.
    """

    label: str
    value: str
    width: str
    limit: str
    limit_label: str
    beyond: bool
    verdict: str


def draw(integers: IntegerReport) -> Tuple[Bar, ...]:
    """Return bars of the partial sums, the accumulator, and the bias where there is one."""
    bars = [
        _bar(
            "Largest possible partial sum",
            integers.largest_partial_sum,
            EXACT_LIMIT,
            "24 bits",
            "float32 adds these integers exactly",
            "Over the limit: float32 may round such a sum; the processor's integers do not",
        ),
        _bar(
            "Largest accumulator seen",
            integers.largest_accumulator,
            INT32_LIMIT + 1,
            "int32",
            "int32 holds it",
            "Over the limit: int32 does not hold it",
        ),
    ]
    if integers.largest_bias:
        bars.append(
            _bar(
                "Largest bias",
                integers.largest_bias,
                INT32_LIMIT,
                "int32",
                "int32 holds it",
                "At the limit: int32 does not hold a larger one",
            )
        )
    return tuple(bars)


def _bar(label: str, value: int, limit: int, limit_label: str, below: str, beyond: str) -> Bar:
    bits = math.log2(value) if value > 0 else 0.0
    room = math.log2(limit) - bits
    is_beyond = value >= limit
    return Bar(
        label=label,
        value=f"{words.count(value)} ({words.bits(value)})" if value > 0 else "0",
        width=percent(min(1.0, bits / _BITS)),
        limit=percent(math.log2(limit) / _BITS),
        limit_label=limit_label,
        beyond=is_beyond,
        verdict=beyond if is_beyond else f"{room:.1f} bits of room: {below}",
    )
