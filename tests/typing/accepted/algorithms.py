"""Algorithms of each kind: functions with NumPy's own types fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Optional, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import ActivationAlgorithm, Calibrator, ShiftSearch, WeightAlgorithm
from amct_core.hookspecs import hookimpl
from amct_core.numerics import affine, arq, ulq

Array = NDArray[np.float32]


class LargestN:
    """A search whose answer is the same whatever it sees."""

    def observe(self, y: Array) -> None:
        self._channels = y.shape[1]

    def result(self) -> NDArray[np.uint8]:
        return np.full(self._channels, 16, np.uint8)


def start(deq_scale: Array, broadcast: bool) -> LargestN:
    return LargestN()


def calibrate(batches: Sequence[Array]) -> Tuple[np.float32, int]:
    bound = max(float(np.abs(batch).max()) for batch in batches)
    return affine.process_scale(np.float32(bound / 127)), 0


def scales(weights: Array, channel_axis: Optional[int]) -> Array:
    return np.ones(1 if channel_axis is None else weights.shape[channel_axis], np.float32)


@hookimpl
def amct_activation_algorithms() -> Iterable[ActivationAlgorithm]:
    return [ActivationAlgorithm("mine", ulq.forward, ulq.backward, affine.scale_offset)]


@hookimpl
def amct_weight_algorithms() -> Iterable[WeightAlgorithm]:
    return [WeightAlgorithm(name="ones", scales=scales, quantize=arq.quantize)]


@hookimpl
def amct_calibrators() -> Iterable[Calibrator]:
    return [Calibrator(name="largest", calibrate=calibrate)]


@hookimpl
def amct_shift_searches() -> Iterable[ShiftSearch]:
    return (ShiftSearch(name="largest_n", start=start),)
