"""Checks of single results that several kinds of extensions have in common."""

from __future__ import annotations

import math
import numbers
from typing import Any, Optional, Tuple, Type

import numpy as np

from amct_core.contracts.usage import Usage, shown
from amct_core.numerics.affine import QUANT_MAX, QUANT_MIN

PAIR = ("scale_d", "offset_d")


def check_factors(
    usage: Usage, function: str, result: Any, with_offset: bool = True
) -> Tuple[np.float32, int]:
    """Return ``(scale_d, offset_d)`` as float32 and int.

    Args:
        usage: who has returned them.
        function: with which function.
        result: a pair: a finite number above 0, and an integer in -128..127.
        with_offset: whether the offset may be other than 0.

    Raises:
        PluginError: it is no such pair.
    """
    scale, offset = usage.several(function, result, PAIR)
    # Of its subclasses float64 is one, whose values float32 need not have.
    if type(scale) is not np.float32:
        scale = _number(usage, function, scale)
    if not 0 < scale < math.inf:
        raise usage.error(
            f"{function} gave scale_d {shown(scale)}; expected a finite float32 number above 0."
        )
    offset = _integer(offset)
    if offset is None or not QUANT_MIN <= offset <= QUANT_MAX:
        raise usage.error(
            f"{function} gave offset_d {shown(result[1])}; expected an integer in "
            f"{QUANT_MIN}..{QUANT_MAX}."
        )
    if offset and not with_offset:
        raise usage.error(
            f"{function} gave offset_d {offset}; expected 0, because activations are to have no "
            "offset here (with_offset=False)."
        )
    return scale, offset


def check_array(
    usage: Usage,
    function: str,
    name: str,
    found: Any,
    shape: Tuple[int, ...],
    dtype: Optional[Type[np.generic]],
    shape_of: str,
) -> None:
    """Check an array that an extension has returned.

    Args:
        usage: who has returned it.
        function: with which function.
        name: what the array is called in the contract.
        found: it.
        shape: that it has to have.
        dtype: that it has to have; None: any floating-point type.
        shape_of: what else has this shape, for the message.

    Raises:
        PluginError: it is no such array.
    """
    fits = isinstance(found, np.ndarray) and found.shape == shape
    if fits and (found.dtype == dtype if dtype is not None else found.dtype.kind == "f"):
        return
    kind = "floating-point" if dtype is None else np.dtype(dtype).name
    raise usage.error(
        f"{function} gave {shown(found)} as {name}; expected {kind} {shape}, the shape of "
        f"{shape_of}."
    )


def _number(usage: Usage, function: str, value: Any) -> np.float32:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise usage.error(
            f"{function} gave scale_d {shown(value)}; expected a finite float32 number above 0."
        )
    with np.errstate(over="ignore"):
        return np.float32(value)


def _integer(value: Any) -> Optional[int]:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        return None
    return int(value)
