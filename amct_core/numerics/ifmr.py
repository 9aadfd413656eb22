"""IFMR: the first bounds of an activation, from data.

1. Over all ``n`` values: ``max`` = the k-th largest but at least 0, ``min`` = the k-th smallest
   but at most 0, with ``k = n - floor(percentile * n)`` (the product in float32), at least 1.
2. Candidates ``i = 0 .. K-1`` with ratio ``start + i * step``, all in float32, where
   ``K = int((end - start) / step + 1)`` truncates the float32 value: 60 for (0.7, 1.3, 0.01), so
   that 1.30 itself is never tried, and 21 for (0.8, 1.2, 0.02).
3. With offset only the maximum is searched::

       high  = ratio * max
       scale = process_scale((high - min) / 255)
       error = sum((round(clip(x, min, high) / scale) * scale - x)**2)

   Without offset ``a`` is whichever of max and min has the larger magnitude (min on a tie) and
   ``limit`` is 127 if ``a > 0``, else 128::

       high  = ratio * |a|
       scale = process_scale(high / limit)
       error = sum((round(clip(x, -high, high) / scale) * scale - x)**2)

   Halves are rounded away from zero; the error ignores the integer grid's offset.
4. The first candidate with the smallest error gives ``scale``, and
   ``offset = -round(min / scale) - 128``, or 0 without offset.

A tensor of zeros gives scale 1 and offset -128 (0 without offset).

Differences from the reference library, all of them defects there:

* It sums the squared errors one by one in float32, which loses digits on large tensors.  Here the
  sum is float64; the difference ``... - x`` is float32 as there.
* A candidate whose scale process_scale rejects keeps an error of 0 and wins.  Here it cannot win;
  if all are rejected, that is an error.
* ``k`` can become 0, and the read goes out of bounds, where float32 rounds ``percentile * n`` up
  to ``n``.  Here ``k`` is at least 1.

* The number of candidates is limited (:data:`MOST_CANDIDATES`): each costs a pass over the data.

Source: hicann/amct quantize_lib/ifmr.cpp and util.cpp.
"""

from __future__ import annotations

from typing import Callable, Iterator, List, Optional, Sequence, Tuple, Union

import attrs
import numpy as np

from amct_core.errors import QuantizationError
from amct_core.numerics.affine import QUANT_MAX, QUANT_MIN, QUANT_STEPS, process_scale
from amct_core.numerics.arrays import CHUNK, Float32Array, Float64Array, flat_chunks
from amct_core.numerics.reduction import OneProcess, Reduction
from amct_core.numerics.rounding import half_away

MOST_CANDIDATES = 10_000
"""How many ratios are tried at most; AMCT's default has 60, and AMCT states no limit."""

Batches = Union[Float32Array, Sequence[Float32Array]]
FasterErrors = Callable[
    [Sequence[Float32Array], Float32Array, Float32Array, Float32Array], Optional[Float64Array]
]
"""``(batches, low, high, scale) -> errors``, one of each per candidate."""


def calibrate(
    x: Batches,
    with_offset: bool = True,
    search_range: Tuple[float, float] = (0.7, 1.3),
    search_step: float = 0.01,
    max_percentile: float = 0.999999,
    min_percentile: float = 0.999999,
    faster_errors: Optional[FasterErrors] = None,
    reduction: Optional[Reduction] = None,
) -> Tuple[np.float32, int]:
    """Return the scale and offset that quantize ``x`` with the least squared error.

    Memory beyond ``x`` itself does not grow with it, except for the values above the percentiles.

    Args:
        x: float32, any shape, or a sequence of such arrays (the batches of a calibration).
        with_offset: asymmetric grid; False pins the offset at 0.
        search_range: smallest and largest ratio to try, ``0 < start <= end``.
        search_step: distance between ratios, above 0; at most MOST_CANDIDATES fit the range.
        max_percentile, min_percentile: share of the values that the bound covers, in (0, 1].
        faster_errors: computes the candidates' errors another way; may decline with None.
        reduction: where ``x`` is this process's share of the data: brings the number of values, the
            values above the percentiles and the errors together, so that every process gets what
            one with all of the data would (except for the order in which errors are added).

    Returns:
        ``(scale, offset)``: float32 in FLT_EPSILON .. 1 / FLT_EPSILON; int in -128..127.

    Raises:
        QuantizationError: no data, NaN or infinity in it, a parameter out of range, or no candidate
            with a usable scale.
    """
    batches = [np.asarray(batch, np.float32) for batch in _sequence(x)]
    _check_data(batches)
    reduction = reduction or OneProcess()
    count = int(reduction.total(sum(batch.size for batch in batches)))
    ratios = _ratios(search_range, search_step)
    high = max(np.float32(0), _kth_largest(batches, _rank(count, max_percentile), 1, reduction))
    low = min(np.float32(0), -_kth_largest(batches, _rank(count, min_percentile), -1, reduction))
    candidates = list(_candidates(ratios, high, low, with_offset))
    if not candidates:
        raise QuantizationError(
            f"values from {low} to {high} need a scale that is not supported.",
            remedy="Look for huge activations before this layer.",
        )
    errors = None
    if faster_errors is not None:
        lows, highs, scales = (
            np.asarray([getattr(candidate, name) for candidate in candidates], np.float32)
            for name in ("low", "high", "scale")
        )
        errors = faster_errors(batches, lows, highs, scales)
    if errors is None:
        errors = _squared_errors(batches, candidates)
    errors = reduction.total(errors)
    scale = candidates[int(np.argmin(errors))].scale
    if not with_offset:
        return scale, 0
    return scale, -int(half_away(np.asarray(low / scale))) + QUANT_MIN


@attrs.frozen
class _Candidate:
    """One grid to try: values are clipped to low..high, then rounded to multiples of scale."""

    low: np.float32
    high: np.float32
    scale: np.float32


def _candidates(
    ratios: Float32Array, high: np.float32, low: np.float32, with_offset: bool
) -> Iterator[_Candidate]:
    magnitude = high if abs(high) > abs(low) else low
    limit = QUANT_MAX if magnitude > 0 else -QUANT_MIN
    for ratio in ratios:
        with np.errstate(over="ignore"):  # process_scale rejects infinity
            if with_offset:
                candidate_low, candidate_high = low, ratio * high
                step = (candidate_high - low) / np.float32(QUANT_STEPS)
            else:
                candidate_high = ratio * abs(magnitude)
                candidate_low, step = -candidate_high, candidate_high / np.float32(limit)
        try:
            scale = process_scale(step)
        except QuantizationError:
            continue  # this ratio is out of range; another one may fit
        yield _Candidate(candidate_low, candidate_high, scale)


def _squared_errors(
    batches: Sequence[Float32Array], candidates: Sequence[_Candidate]
) -> Float64Array:
    errors = np.zeros(len(candidates))
    for batch in batches:
        for (values,) in flat_chunks(batch):
            for index, candidate in enumerate(candidates):
                rounded = np.clip(values, candidate.low, candidate.high)
                rounded /= candidate.scale
                rounded = half_away(rounded)
                rounded *= candidate.scale
                rounded -= values
                errors[index] += np.multiply(rounded, rounded, dtype=np.float64).sum()
    return errors


def _ratios(search_range: Tuple[float, float], search_step: float) -> Float32Array:
    start, end = (np.float32(value) for value in search_range)
    step = np.float32(search_step)
    if not (0 < start <= end < np.inf and 0 < step < np.inf):
        raise QuantizationError(
            f"search_range is {search_range} and search_step {search_step}; expected "
            "0 < start <= end and a step above 0."
        )
    if is_too_fine(search_range, search_step):
        raise QuantizationError(
            f"search_range is {search_range} and search_step {search_step}; expected at most "
            f"{MOST_CANDIDATES} steps."
        )
    count = int((end - start) / step + np.float32(1))
    result: Float32Array = start + np.arange(count, dtype=np.float32) * step
    return result


def is_too_fine(search_range: Sequence[float], search_step: float) -> bool:
    """Return whether there would be more than MOST_CANDIDATES candidates."""
    start, end = search_range
    return (float(end) - float(start)) / float(search_step) > MOST_CANDIDATES


def _rank(count: int, percentile: float) -> int:
    if not 0 < percentile <= 1:
        raise QuantizationError(f"the percentile is {percentile}; expected above 0, at most 1.")
    covered = np.floor(np.float32(percentile) * np.float32(count))
    return max(1, count - int(covered))


def _kth_largest(
    batches: Sequence[Float32Array], k: int, sign: int = 1, reduction: Optional[Reduction] = None
) -> np.float32:
    """Return the k-th largest of ``sign * x``, keeping about 2 k values at a time.

    Most chunks have nothing above the k-th largest so far; these are read and left.
    """
    kept: List[Float32Array] = []
    kept_size = 0
    least = np.float32(-np.inf)  # k of the values so far are at least this
    for batch in batches:
        for (values,) in flat_chunks(batch):
            if sign * (values.max() if sign > 0 else values.min()) <= least:
                continue
            signed = values * np.float32(sign)
            kept.append(signed[signed > least])
            kept_size += kept[-1].size
            first_k = least == -np.inf and kept_size >= k
            if first_k or kept_size >= 2 * max(k, CHUNK):
                kept = [_top(np.concatenate(kept), k)]
                kept_size = kept[0].size
                least = kept[0].min() if kept_size == k else least
    largest = _top(np.concatenate(kept), k)
    if reduction is not None:
        largest = _top(reduction.gathered(largest), k)
    return np.float32(largest.min())


def _top(values: Float32Array, k: int) -> Float32Array:
    """Return the k largest of ``values`` (all of them if there are fewer), in any order."""
    if values.size <= k:
        return values
    return np.partition(values, values.size - k)[values.size - k :]


def _sequence(x: Batches) -> List[Float32Array]:
    return [x] if isinstance(x, np.ndarray) else list(x)


def _check_data(batches: Sequence[Float32Array]) -> None:
    filled = [batch for batch in batches if batch.size]
    if not filled:
        raise QuantizationError("there are no values to calibrate with.")
    if not all(np.isfinite(batch.max()) and np.isfinite(batch.min()) for batch in filled):
        raise QuantizationError(
            "the data to calibrate with holds NaN or infinity.",
            remedy="Look for a diverging loss or a division by zero before this layer.",
        )
