"""Convolution whose groups have one input channel each, and what follows it, in one pass."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from cpu_sim_backend.fast.compiled import address, parallel
from cpu_sim_backend.fast.finish import finish_row, lanes_of


@parallel
def depthwise(
    instructions: Any, x: Any, zero: Any, weights: Any, window: Any, bias: Any, f: Any
) -> int:
    """Run a depthwise convolution and what follows; return 0 if no residual brought a NaN in.

    Args:
        instructions: a tag of :mod:`.instructions`.
        x: uint8 ``[batch, height, width, channels]``.
        zero: int16, what stands for zero in ``x``.
        weights: int16 ``[kh, kw, channels]``, of int8 values.
        window: a :class:`.convolve.Window`.
        bias: int32 ``[channels]`` and a vector more.
        f: a :class:`.finish.Finish`.
    """
    kh, kw, sh, sw, ph, pw, dh, dw, oh, ow = window
    height, width, channels = x.shape[1], x.shape[2], x.shape[3]
    lines = x.shape[0] * oh
    nans = np.zeros(lines, np.int64)  # per line: a sum inside of the loops would be lost
    for line in numba.prange(lines):
        sample, row = line // oh, line % oh
        sums = np.empty(channels + lanes_of(instructions), np.int32)
        for column in range(ow):
            sums[:] = 0
            for i in range(kh):
                y = row * sh - ph + i * dh
                if y < 0 or y >= height:
                    continue
                for j in range(kw):
                    z = column * sw - pw + j * dw
                    if z < 0 or z >= width:
                        continue
                    source, factor = x[sample, y, z], weights[i, j]
                    for c in range(channels):
                        # 255 * 128 fits int16.
                        product = np.int16(np.int16(np.int16(source[c]) - zero) * factor[c])
                        sums[c] = np.int32(sums[c] + product)
            at = line * ow + column
            nans[line] |= finish_row(instructions, address(sums), channels, at, 0, bias, f)
    return int(nans.max()) if lines else 0
