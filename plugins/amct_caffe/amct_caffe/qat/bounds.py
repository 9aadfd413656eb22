"""The state of one ActivationQAT, and how a training forward moves it.

Everything that must survive a snapshot lives in three float32 blobs: ``clip_max`` [1], ``clip_min``
[1] and ``state`` [4].  The functions here are pure; the layer copies blobs in and out.
"""

from __future__ import annotations

import math
from typing import Any, Tuple

import attrs
import numpy as np

from amct_core.numerics import affine, ulq

STATE_SIZE = 4
"""State blob: TRAIN forwards seen, whether bounds are set, last valid clip_max and clip_min."""

_COUNT_LIMIT = 2**24 - 1


@attrs.frozen
class BoundState:
    """Clip bounds and what is known about them.

    Attributes:
        clip_max, clip_min: as the solver left them; not necessarily valid.
        forwards: TRAIN forwards so far, counted up to 2**24 - 1 (exact in float32).
        bounds_set: whether the bounds mean anything yet.
        valid_max, valid_min: the last bounds that were valid.
    """

    clip_max: float
    clip_min: float
    forwards: int = 0
    bounds_set: bool = False
    valid_max: float = 0.0
    valid_min: float = 0.0

    @classmethod
    def from_blobs(cls, clip_max: Any, clip_min: Any, state: Any) -> BoundState:
        """Read the three blobs: flat arrays of 1, 1 and STATE_SIZE elements."""
        forwards, bounds_set, valid_max, valid_min = state.tolist()
        return cls(
            clip_max.item(), clip_min.item(), int(forwards), bounds_set != 0, valid_max, valid_min
        )

    def to_blobs(self) -> Tuple[float, float, Tuple[float, float, float, float]]:
        """Return the contents of the three blobs."""
        state = (float(self.forwards), float(self.bounds_set), self.valid_max, self.valid_min)
        return self.clip_max, self.clip_min, state

    def initialised(self, batch_num: int, calibrated: bool) -> bool:
        """Return whether the bounds are final: from the config, or after ``batch_num`` forwards."""
        return self.bounds_set and (not calibrated or self.forwards >= batch_num)

    def repaired(self, fixed_min: bool) -> BoundState:
        """Return the state with valid bounds (ULQ's ClipCheck, then ``fixed_min``)."""
        if (
            self.clip_min <= 0 <= self.clip_max < math.inf
            and -math.inf < self.clip_min < self.clip_max
        ):
            # As they nearly always are; this runs for each layer in each pass.
            low = 0.0 if fixed_min else self.clip_min
            return BoundState(
                self.clip_max, low, self.forwards, self.bounds_set, self.clip_max, self.clip_min
            )
        checked = ulq.check_clips(self.clip_max, self.clip_min, self.valid_max, self.valid_min)
        return attrs.evolve(
            self,
            clip_max=float(checked.clip_max),
            clip_min=0.0 if fixed_min else float(checked.clip_min),
            valid_max=float(checked.previous_max),
            valid_min=float(checked.previous_min),
        )

    def counted(self) -> BoundState:
        """Return the state after one more TRAIN forward."""
        return BoundState(  # not evolve(), which looks up every field in each layer and pass
            self.clip_max,
            self.clip_min,
            min(self.forwards + 1, _COUNT_LIMIT),
            self.bounds_set,
            self.valid_max,
            self.valid_min,
        )


def configured(clip_max: float, clip_min: float) -> BoundState:
    """Return the initial state for bounds that a config gives."""
    high, low = float(np.float32(clip_max)), float(np.float32(clip_min))
    return BoundState(high, low, bounds_set=True, valid_max=high, valid_min=low)


def calibrated(state: BoundState, scale: Any, offset: int, fixed_min: bool) -> BoundState:
    """Return ``state`` with the bounds of a calibration's scale and offset.

    Both bounds come from the calibrator's result alone: clip_max never depends on the clip_min of
    before.
    """
    bounds = affine.bounds(scale, offset)
    high, low = float(bounds[0]), 0.0 if fixed_min else float(bounds[1])
    return attrs.evolve(
        state,
        clip_max=high,
        clip_min=low,
        bounds_set=True,
        valid_max=high,
        valid_min=low,
    )
