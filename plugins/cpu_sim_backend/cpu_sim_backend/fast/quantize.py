"""Quant of values that are in memory."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types

from cpu_sim_backend.fast.compiled import address, in_llvm, parallel
from cpu_sim_backend.fast.finish import lanes_of
from cpu_sim_backend.fast.instructions import TILE_SHAPES
from cpu_sim_backend.fast.vectors import Lanes

_PIECE = 4096
"""Values in one piece of work; a multiple of the lanes of any processor."""


@in_llvm
def _quantize_vector(
    typing: Any, tag: Any, count: Any, source: Any, target: Any, scale: Any, offset: Any
) -> Any:
    """Write at most ``lanes`` values as 8 bits; return whether one is NaN, as int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes = TILE_SHAPES[signature.args[0].instance_class].lanes
        v = Lanes(builder, lanes, arguments[1])
        x = v.load_some(arguments[2])
        v.store(v.quantized(x, arguments[4], arguments[5]), arguments[3])
        return v.any_nan(x)

    return types.int64(tag, *[types.int64] * 3, types.float32, types.float32), generate


@parallel
def quantize(instructions: Any, x: Any, scale: Any, offset: Any, out: Any) -> int:
    """Write ``clamp(rint(x * scale + offset), -128, 127) + 128``; return 0 if none is NaN.

    Args:
        instructions: a tag of :mod:`.instructions`.
        x: float32 ``[n]``, contiguous.
        scale, offset: float32.
        out: uint8 ``[n]``.
    """
    pieces = (x.size + _PIECE - 1) // _PIECE
    source, target = address(x), address(out)
    nans = np.zeros(pieces, np.int64)  # per piece: a sum inside of the loops would be lost
    for piece in numba.prange(pieces):
        end = min(x.size, (piece + 1) * _PIECE)
        for at in range(piece * _PIECE, end, lanes_of(instructions)):
            nans[piece] |= _quantize_vector(
                instructions, end - at, source + 4 * at, target + at, scale, offset
            )
    return int(nans.max()) if pieces else 0
