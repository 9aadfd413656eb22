"""The record as data, with the ranges that AMCT demands."""

from __future__ import annotations

import math
from typing import Any, Iterator, Mapping, Optional, Sequence, Tuple

import attrs
import numpy as np

from amct_core.errors import RecordError

SHIFT_MIN, SHIFT_MAX = 1, 16


def _float32(value: Any) -> Optional[float]:
    return None if value is None else float(np.float32(value))


def _float32s(values: Any) -> Tuple[float, ...]:
    return tuple(np.asarray(values, np.float32).astype(float).tolist())


def _integers(values: Any) -> Tuple[int, ...]:
    return tuple(int(value) for value in values)


@attrs.frozen
class LayerRecord:
    """The factors of one layer; what is not known yet is None or empty.

    Attributes:
        scale_d: float32 scale of the input, > 0.
        offset_d: offset of the input, -128..127.
        scale_w: float32 scales of the weights: one per output channel, or one; none without
            weights.
        offset_w: 0 for each ``scale_w``.
        shift_bit: N for each ``scale_w``: all 0, or each in 1..16; empty if not searched.
        channels, height, width: shape of the input.  Where it is that of a network input, those
            behind its last axis are missing; channels 0 says that a sample is one number.
        skip_fusion: AMCT's switch against folding, kept as it is.
    """

    scale_d: Optional[float] = attrs.field(default=None, converter=_float32)
    offset_d: Optional[int] = None
    scale_w: Tuple[float, ...] = attrs.field(default=(), converter=_float32s)
    offset_w: Tuple[int, ...] = attrs.field(default=(), converter=_integers)
    shift_bit: Tuple[int, ...] = attrs.field(default=(), converter=_integers)
    channels: Optional[int] = None
    height: Optional[int] = None
    width: Optional[int] = None
    skip_fusion: Optional[bool] = None

    @property
    def sample_shape(self) -> Optional[Tuple[int, ...]]:
        """The shape of one sample of the input, if it is a network input; None: not known."""
        if self.channels is None:
            return None
        axes = (self.channels or None, self.height, self.width)
        return tuple(size for size in axes if size is not None)

    def with_sample_shape(self, shape: Optional[Sequence[int]]) -> LayerRecord:
        """Return the entry with the shape of one sample, at most three axes; None: not known."""
        axes: Sequence[int] = () if shape is None else shape or (0,)
        sizes = [*axes, None, None, None]
        return attrs.evolve(self, channels=sizes[0], height=sizes[1], width=sizes[2])

    def problem(self) -> Optional[Tuple[str, str]]:
        """Return (field, what is wrong and what was expected) for the first bad value, or None."""
        scale_d = () if self.scale_d is None else (self.scale_d,)
        for field, scales in (("scale_d", scale_d), ("scale_w", self.scale_w)):
            for scale in scales:
                if not (math.isfinite(scale) and scale > 0):
                    return field, f"it is {scale}; expected a finite number above 0."
        if self.offset_d is not None and not -128 <= self.offset_d <= 127:
            return "offset_d", f"it is {self.offset_d}; expected -128..127."
        if any(self.offset_w):
            return "offset_w", f"it holds {max(self.offset_w, key=abs)}; expected 0."
        if len(self.offset_w) != len(self.scale_w):
            return "offset_w", (
                f"there are {len(self.offset_w)} values; expected {len(self.scale_w)}, one per "
                "scale_w."
            )
        return self._shift_problem()

    def _shift_problem(self) -> Optional[Tuple[str, str]]:
        shifts = self.shift_bit
        if not shifts:
            return None
        if len(shifts) != len(self.scale_w):
            return "shift_bit", (
                f"there are {len(shifts)} values; expected {len(self.scale_w)}, one per scale_w."
            )
        if any(shifts) and not all(SHIFT_MIN <= n <= SHIFT_MAX for n in shifts):
            return "shift_bit", f"it is {list(shifts[:8])}...; expected all 0 or each in 1..16."
        return None


@attrs.frozen
class Record:
    """The factors of every layer, in the order of the network; each layer once."""

    layers: Mapping[str, LayerRecord] = attrs.field(factory=dict)

    def find(self, name: str) -> Optional[LayerRecord]:
        """Return the entry of layer ``name``, or None."""
        return self.layers.get(name)

    def get(self, name: str) -> LayerRecord:
        """Return the entry of layer ``name``.

        Raises:
            RecordError: there is none.
        """
        found = self.layers.get(name)
        if found is None:
            raise RecordError("the record has no entry for it.", layer=name)
        return found

    def with_layer(self, name: str, entry: LayerRecord) -> Record:
        """Return a record with this entry: in place of the layer's old one, or at the end."""
        return self.with_layers({name: entry})

    def with_layers(self, entries: Mapping[str, LayerRecord]) -> Record:
        """Return a record with these entries, as :meth:`with_layer` one after the other."""
        return Record({**self.layers, **entries})

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)
