"""How numbers read on the page: NaN and infinities in words, long lists of channels as ranges."""

from __future__ import annotations

import math
from typing import Iterable, List, Tuple

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_LEAST_WITHOUT_POWER = 1e-3
_MOST_WITHOUT_POWER = 1e6


def number(value: float, digits: int = 4) -> str:
    """Return a number with so many significant digits, with a true minus sign."""
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    if value == int(value) and abs(value) < _MOST_WITHOUT_POWER:
        return _signed(str(int(value)))
    if 10**digits <= abs(value) < _MOST_WITHOUT_POWER:
        return _signed(f"{value:.0f}")
    if _LEAST_WITHOUT_POWER <= abs(value) < _MOST_WITHOUT_POWER:
        return _signed(f"{value:.{digits}g}")
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{_signed(mantissa)} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def count(value: int) -> str:
    """Return an integer with its thousands apart."""
    return _signed(f"{value:,}")


def share(value: float) -> str:
    """Return a share of 0..1 in percent; what is no nought never reads as one."""
    if not math.isfinite(value):
        return number(value)
    if value == 0:
        return "0 %"
    percent = 100 * value
    if percent < 0.01:
        return "under 0.01 %"
    if percent < 100 and percent > 99.99:
        return "over 99.99 %"
    return f"{percent:.2f} %" if percent < 10 else f"{percent:.1f} %"


def decibels(snr: float) -> str:
    """Return a signal-to-noise ratio; the words for infinite and NaN say what they mean here."""
    if math.isnan(snr):
        return "no signal"
    if math.isinf(snr):
        return "no difference" if snr > 0 else "no signal left"
    text = f"{snr:.1f}"
    return f"{_signed(text) if float(text) else '0.0'} dB"


def cosine(value: float) -> str:
    """Return a cosine with enough digits to tell it from 1."""
    if not math.isfinite(value):
        return "not defined"
    text = f"{value:.4f}"
    return "over 0.9999" if text == "1.0000" and value < 1 else _signed(text)


def bits(value: int) -> str:
    """Return a magnitude in bits, with one digit behind the point."""
    return "0 bits" if value <= 0 else f"{math.log2(value):.1f} bits"


def plural(value: int, one: str, many: str = "") -> str:
    """Return ``value`` with its noun; ``many`` is that of more than one, ``one`` + "s" if empty."""
    return f"{count(value)} {one if value == 1 else many or one + 's'}"


def ranges(indices: Iterable[int]) -> str:
    """Return indices in order, with runs of three and more as ranges: ``0, 4–9, 12``."""
    runs: List[Tuple[int, int]] = []
    for index in sorted(set(indices)):
        if runs and runs[-1][1] == index - 1:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    return ", ".join(part for first, last in runs for part in _run(first, last))


def seconds(value: float) -> str:
    """Return a duration as a person would say it."""
    if value < 90:
        return f"{value:.0f} s" if value >= 1 else "under 1 s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"


def _run(first: int, last: int) -> List[str]:
    if last - first < 2:
        return [str(index) for index in range(first, last + 1)]
    return [f"{first}–{last}"]


def _signed(text: str) -> str:
    return text.replace("-", "−")
