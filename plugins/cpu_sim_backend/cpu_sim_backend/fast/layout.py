"""From Caffe's layout to the engine's: channels at the end."""

from __future__ import annotations

from typing import Any

import numba

from cpu_sim_backend.fast.compiled import parallel


@parallel
def to_channels_last(first: Any, out: Any, top: int, left: int) -> None:
    """Copy an image into another one, channels last.

    Args:
        first: ``[batch, channels, height, width]``.
        out: of the same type, ``[batch, at least top + height, at least left + width, channels]``.
        top, left: where the copy begins; what surrounds it is left alone.
    """
    batch, channels, height, width = first.shape
    for line in numba.prange(batch * height):
        sample, y = line // height, line % height
        target = out[sample, top + y]
        for c in range(channels):
            source = first[sample, c, y]
            for x in range(width):
                target[left + x, c] = source[x]
