"""What the integers of a quantized layer say by themselves, without data."""

from __future__ import annotations

import math
from typing import Any, Optional, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_core.accumulator_parts import accumulator_parts, weights_of_part
from amct_core.graph.deployed_layers import DeployedLayer
from amct_core.numerics import exactness
from amct_core.numerics.arrays import channel_rows
from cpu_sim_backend.analysis.model import IntegerReport, WeightReport
from cpu_sim_backend.analysis.tallies import AccumulatorTally, decibels

Array = NDArray[Any]
Rows = NDArray[np.int16]

FAR_BEYOND = 8.0
"""An outlier channel has so many times the range of the median channel."""
_WIDE = FAR_BEYOND / 2
_TYPICAL = 0.99
_CHANGED_STEPS = 1.5
"""No rounding moves a weight so far; clipping moves only what becomes the largest integer."""
_CHANGED_SHARE = 0.01


def weight_report(layer: DeployedLayer, original: Optional[Array]) -> Optional[WeightReport]:
    """Return what is reported of the weights; None for a layer without.

    Args:
        layer: which one.
        original: the float weights, in the same layout; None if there are none.
    """
    axes = layer.node.type.weights
    if layer.weights is None or axes is None:
        return None
    rows = channel_rows(layer.weights, axes.output).astype(np.int16)
    scales = _weight_scales(layer, len(rows))
    channel_wise = len(layer.deq_scale) > 1
    low, high = rows.min(axis=1), rows.max(axis=1)
    outliers, wide = _outliers(rows, channel_wise)
    snr, retrained = math.nan, False
    if original is not None:
        snr, retrained = _against(rows, scales, channel_rows(original, axes.output))
    return WeightReport(
        channel_wise=channel_wise,
        scales=tuple(float(each) for each in (scales if channel_wise else scales[:1])),
        lowest=tuple(float(each) for each in low * scales),
        highest=tuple(float(each) for each in high * scales),
        used=tuple(len(np.unique(row)) for row in rows),
        dead=tuple(int(each) for each in np.flatnonzero((low == 0) & (high == 0))),
        outliers=outliers,
        typical=_typical(rows, channel_wise),
        wide=wide,
        snr=snr,
        retrained=retrained,
    )


def _weight_scales(layer: DeployedLayer, channels: int) -> NDArray[np.float64]:
    """Return scale_w of each channel: ``deq_scale / scale_d``."""
    scales = np.asarray(layer.deq_scale, np.float64) * float(layer.quant_scale)
    # Groups of a Deconvolution share the axis of output channels.
    return np.resize(scales, channels)


def _outliers(rows: Rows, channel_wise: bool) -> Tuple[Tuple[int, ...], Tuple[int, ...]]:
    """Return the outlier channels under one scale, and those that are large as a whole."""
    if channel_wise or len(rows) < 2:
        return (), ()
    magnitudes = np.sort(np.abs(rows), axis=1)
    largest = magnitudes[:, -1]
    alive = largest > 0
    if not alive.any():
        return (), ()
    # In a layer with an outlier most weights may be 0: half a step is the least that they can be.
    median = max(float(np.median(largest[alive])), 0.5)
    outliers = np.flatnonzero(largest > FAR_BEYOND * median)
    # Of a channel with one weight only, that is the whole channel.
    kept = max(1, rows.shape[1] - max(1, rows.shape[1] // 100))
    size = np.sqrt(np.square(magnitudes[:, :kept], dtype=np.float64).mean(axis=1))
    usual = max(float(np.median(size[alive])), 0.5)
    wide = [int(each) for each in outliers if size[each] > _WIDE * usual]
    return tuple(int(each) for each in outliers), tuple(wide)


def _typical(rows: Rows, channel_wise: bool) -> float:
    """Return the magnitude, in steps, below which 99 % of the weights lie that are not 0."""
    magnitudes = np.abs(rows)
    if not channel_wise:
        return _high_quantile(magnitudes.reshape(-1))
    found = [_high_quantile(row) for row in magnitudes]
    alive = [each for each in found if not math.isnan(each)]
    return float(np.median(alive)) if alive else math.nan


def _high_quantile(magnitudes: Rows) -> float:
    counts = np.bincount(magnitudes)
    counts[0] = 0
    total = counts.cumsum()
    if total[-1] == 0:
        return math.nan
    return float(np.searchsorted(total, _TYPICAL * total[-1]))


def _against(rows: Rows, scales: NDArray[np.float64], original: Array) -> Tuple[float, bool]:
    """Return the SNR to the float weights, and whether these are others."""
    own = rows * scales[:, np.newaxis]
    difference = np.abs(own - original)
    snr = decibels(float(np.square(original, dtype=np.float64).sum()), float((difference**2).sum()))
    inside = np.abs(rows) < 127
    changed = inside & (difference > _CHANGED_STEPS * scales[:, np.newaxis])
    return snr, int(np.count_nonzero(changed)) > _CHANGED_SHARE * max(rows.size, 1)


def integer_report(layer: DeployedLayer, tally: AccumulatorTally) -> IntegerReport:
    """Return what is reported of the accumulators."""
    parts = accumulator_parts(layer.node.type.weights, layer.weights, layer.offset)
    bias = layer.bias
    return IntegerReport(
        largest_partial_sum=_partial_sum(layer),
        largest_accumulator=tally.largest,
        largest_bias=0 if bias is None else int(np.abs(bias.astype(np.int64)).max(initial=0)),
        shift_n=tuple(sorted({int(each) for each in layer.shift_n})),
        int16_saturated=tally.saturated / max(tally.values, 1),
        parts=len(parts),
    )


def _partial_sum(layer: DeployedLayer) -> int:
    """Return what no partial sum exceeds, of the parts that the fake-quant model adds."""
    axes, node = layer.node.type.weights, layer.node
    if axes is None or layer.weights is None:
        divisor = node.type.quantization.divisor if node.type.quantization is not None else None
        summed = 1 if divisor is None else divisor(node)
        return summed * max(abs(-128 - layer.offset), abs(127 - layer.offset))
    parts = accumulator_parts(axes, layer.weights, layer.offset)
    weights = [layer.weights]
    if len(parts) > 1:
        weights = [weights_of_part(axes, layer.weights, part) for part in parts]
    bounds = (exactness.partial_sum_bound(own, layer.offset, axes.output) for own in weights)
    return max(int(bound.max()) for bound in bounds)
