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
Channels = Tuple[int, ...]

FAR_BEYOND = 8.0
"""An outlier channel has so many times the range of the median channel."""
_WIDE = FAR_BEYOND / 2
_TYPICAL = 0.99
_NOTHING = 1e-4
"""A channel with weights that many times the median channel's does nothing in float either."""
_CHANGED_STEPS = 1.5
"""No rounding moves a weight so far; clipping moves only what becomes the largest integer."""
_CHANGED_SHARE = 0.01


def weight_report(layer: DeployedLayer, original: Array) -> Optional[WeightReport]:
    """Return what is reported of the weights; None for a layer without.

    Args:
        layer: which one.
        original: the float weights, in the same layout: what rounding has made 0 is seen in them.
    """
    axes = layer.node.type.weights
    if layer.weights is None or axes is None:
        return None
    rows = channel_rows(layer.weights, axes.output).astype(np.int16)
    scales = _weight_scales(layer, len(rows))
    channel_wise = len(layer.deq_scale) > 1
    low, high = rows.min(axis=1), rows.max(axis=1)
    floats = channel_rows(original, axes.output)
    steps = np.abs(floats) / scales[:, np.newaxis]
    dead = _dead(np.abs(floats).max(axis=1), rows)
    outliers, wide = ((), ()) if channel_wise else _outliers(steps, dead)
    snr, retrained = _against(rows, scales, floats)
    return WeightReport(
        channel_wise=channel_wise,
        scales=tuple(float(each) for each in (scales if channel_wise else scales[:1])),
        lowest=tuple(float(each) for each in low * scales),
        highest=tuple(float(each) for each in high * scales),
        used=tuple(int(np.count_nonzero(np.bincount(row + 128))) for row in rows),
        dead=dead,
        outliers=outliers,
        typical=_typical(steps, channel_wise),
        wide=wide,
        snr=snr,
        retrained=retrained,
    )


def _weight_scales(layer: DeployedLayer, channels: int) -> NDArray[np.float64]:
    """Return scale_w of each channel: ``deq_scale / scale_d``."""
    scales = np.asarray(layer.deq_scale, np.float64) * float(layer.quant_scale)
    # Groups of a Deconvolution share the axis of output channels.
    return np.resize(scales, channels)


def _dead(largest: Array, rows: Rows) -> Channels:
    """Return the channels whose weights are 0 in int8, and next to nothing in float, too."""
    usual = float(np.median(largest[largest > 0])) if (largest > 0).any() else 0.0
    nothing = (largest <= _NOTHING * usual) & ~rows.any(axis=1)
    return tuple(int(each) for each in np.flatnonzero(nothing))


def _outliers(steps: Array, dead: Channels) -> Tuple[Channels, Channels]:
    """Return the outlier channels under one scale, and those that are large as a whole.

    Args:
        steps: magnitudes of the float weights, in steps of int8, by channel.
        dead: channels that do not count.
    """
    alive = np.ones(len(steps), np.bool_)
    alive[list(dead)] = False
    if not alive.any():
        return (), ()
    magnitudes = np.sort(steps, axis=1)
    largest = magnitudes[:, -1]
    outliers = np.flatnonzero(largest > FAR_BEYOND * float(np.median(largest[alive])))
    # Of a channel with one weight only, that is the whole channel.
    kept = max(1, steps.shape[1] - max(1, steps.shape[1] // 100))
    size = np.sqrt(np.square(magnitudes[:, :kept], dtype=np.float64).mean(axis=1))
    usual = float(np.median(size[alive]))
    wide = tuple(int(each) for each in outliers if size[each] > _WIDE * usual)
    return tuple(int(each) for each in outliers), wide


def _typical(steps: Array, channel_wise: bool) -> float:
    """Return the magnitude, in steps, below which 99 % of the weights lie that are not 0."""
    found = [_high_quantile(row) for row in (steps if channel_wise else steps.reshape(1, -1))]
    alive = [each for each in found if not math.isnan(each)]
    return float(np.median(alive)) if alive else math.nan


def _high_quantile(magnitudes: Array) -> float:
    used = magnitudes[magnitudes > 0]
    if not used.size:
        return math.nan
    place = min(int(_TYPICAL * used.size), used.size - 1)
    return float(np.partition(used, place)[place])


def _against(rows: Rows, scales: NDArray[np.float64], original: Array) -> Tuple[float, bool]:
    """Return the SNR to the float weights, and whether these are others."""
    own = rows * scales[:, np.newaxis]  # float64
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
