"""MAX and AVE pooling, channels last."""

from __future__ import annotations

from typing import Any

import numba

from cpu_sim_backend.fast.compiled import parallel


@parallel
def max_pool(x: Any, window: Any, out: Any) -> None:
    """Write the maxima of windows; what lies outside of the input does not count.

    Args:
        x: uint8 or float32 ``[batch, height, width, channels]``.
        window: a :class:`.convolve.Window`.
        out: ``[batch, oh, ow, channels]``.
    """
    kh, kw, sh, sw, ph, pw, _, _, oh, ow = window
    height, width, channels = x.shape[1], x.shape[2], x.shape[3]
    for line in numba.prange(x.shape[0] * oh):
        sample, row = line // oh, line % oh
        for column in range(ow):
            target = out[sample, row, column]
            top, left = max(row * sh - ph, 0), max(column * sw - pw, 0)
            target[:] = x[sample, top, left]
            for y in range(top, min(row * sh - ph + kh, height)):
                for z in range(left, min(column * sw - pw + kw, width)):
                    source = x[sample, y, z]
                    for c in range(channels):
                        target[c] = max(target[c], source[c])


@parallel
def average_pool(x: Any, window: Any, areas: Any, out: Any) -> None:
    """Write the averages of windows: sums row by row, left to right, each divided once.

    Args:
        x: float32 ``[batch, height, width, channels]``.
        window: a :class:`.convolve.Window`.
        areas: float32 ``[oh, ow]``, what Caffe divides by.
        out: float32 ``[batch, oh, ow, channels]``.
    """
    kh, kw, sh, sw, ph, pw, _, _, oh, ow = window
    height, width, channels = x.shape[1], x.shape[2], x.shape[3]
    for line in numba.prange(x.shape[0] * oh):
        sample, row = line // oh, line % oh
        for column in range(ow):
            target = out[sample, row, column]
            target[:] = 0
            for y in range(max(row * sh - ph, 0), min(row * sh - ph + kh, height)):
                for z in range(max(column * sw - pw, 0), min(column * sw - pw + kw, width)):
                    source = x[sample, y, z]
                    for c in range(channels):
                        target[c] = target[c] + source[c]
            area = areas[row, column]
            for c in range(channels):
                target[c] = target[c] / area
