"""The second half of a deconvolution: its products, added up where they overlap."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from cpu_sim_backend.fast.compiled import parallel


@parallel
def fold(taps: Any, window: Any, out: Any) -> None:
    """Add the taps of a deconvolution up where they overlap; padding is cut off.

    Args:
        taps: int32 ``[batch, height, width, kh * kw * channels]``.
        window: a :class:`.convolve.Window`, of the deconvolution.
        out: int32 ``[batch, oh, ow, channels]``, zero.
    """
    kh, kw, sh, sw, ph, pw, dh, dw, oh, ow = window
    height, width, channels = taps.shape[1], taps.shape[2], out.shape[3]
    for line in numba.prange(out.shape[0] * oh):
        sample, row = line // oh, line % oh
        for i in range(kh):
            y, rest = divmod(row + ph - i * dh, sh)
            if rest != 0 or y < 0 or y >= height:
                continue
            for z in range(width):
                for j in range(kw):
                    column = z * sw - pw + j * dw
                    if column < 0 or column >= ow:
                        continue
                    begin = (i * kw + j) * channels
                    source = taps[sample, y, z, begin : begin + channels]
                    target = out[sample, row, column]
                    for c in range(channels):
                        target[c] = np.int32(target[c] + source[c])
