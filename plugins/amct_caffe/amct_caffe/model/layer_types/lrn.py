"""Local response normalisation, operation by operation as Caffe's CPU code rounds it.

Across channels, with ``a = float32(alpha) / float32(size)`` and squares that are 0 outside of the
channels::

    s[0] = k + a * square[-before] + ... + a * square[size - 1 - before]
    s[c] = s[c - 1] + a * square[c + size - 1 - before] - a * square[c - 1 - before]
    y    = powf(s, -beta) * x

with ``before = (size - 1) / 2``.  Each ``+ a * square`` is one AXPY: a fused multiply-add, which
rounds once.  The sums run from channel to channel, so their errors do too.

Within a channel Caffe composes layers: ``powf(x, 2)``, AVE Pooling, ``powf(1 + alpha * mean,
-beta)``, a product.  The pooling counts padding.

Both follow Caffe to the bit where its BLAS fuses and its ``powf`` is the C library's; who compares
with a framework finds out whether it is so there.

Source: BVLC Caffe, lrn_layer.cpp and power_layer.cpp; ``caffe_axpy`` and ``caffe_powx`` of its
math_functions.
"""

from __future__ import annotations

import numpy as np

from amct_caffe.model.layer_types.axes import Array
from amct_caffe.model.layer_types.pooling import average
from amct_core.graph.attributes import Pooling
from amct_core.kernels.libm import powf
from amct_core.numerics.fused import multiply_add


def across_channels(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """Return ``x`` divided by ``(k + alpha * mean) ** beta`` of the channels around each.

    Args:
        x: float32, channels on axis 1.
        size: channels that are averaged over, an odd number.
        alpha, beta, k: taken as float32.
    """
    factor = float(np.float32(alpha) / np.float32(size))
    before, channels = (size - 1) // 2, x.shape[1]
    squares = np.zeros((channels + size - 1, x.shape[0], *x.shape[2:]), np.float32)
    np.square(np.moveaxis(x, 1, 0), out=squares[before : before + channels])
    total = np.full(squares.shape[1:], np.float32(k))
    for square in squares[:size]:
        total = multiply_add(factor, square, total)
    totals = np.empty((channels, *total.shape), np.float32)
    totals[:1] = total
    for channel in range(1, channels):
        total = multiply_add(factor, squares[channel + size - 1], total)
        total = multiply_add(-factor, squares[channel - 1], total)
        totals[channel] = total
    powers = powf(np.ascontiguousarray(np.moveaxis(totals, 0, 1)), -np.float32(beta))
    return np.asarray(powers * x)


def within_channel(x: Array, size: int, alpha: float, beta: float) -> Array:
    """Return ``x`` divided by ``(1 + alpha * mean) ** beta`` of the square window around each.

    Args:
        x: float32 ``[N, C, H, W]``.
        size: side of the window, an odd number.
        alpha, beta: taken as float32.
    """
    pad = (size - 1) // 2
    window = Pooling("AVE", (size, size), (1, 1), (pad, pad), global_pooling=False)
    means = average(window, powf(x, 2))
    return np.asarray(x * powf(np.float32(1) + means * np.float32(alpha), -np.float32(beta)))
