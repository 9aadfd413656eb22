"""Tensors in the fast engine's own layout, and their way back to Caffe's."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TO_CHANNELS_LAST = (0, 2, 3, 1)
TO_CHANNELS_FIRST = (0, 3, 1, 2)


@attrs.define(eq=False)
class Tensor:
    """One value: float32, or uint8 ``q + 128``; each layout is made when it is asked for.

    Attributes:
        first: the array as Caffe has it, channels at axis 1, contiguous.
        last: a 4-D array with its channels at the end, contiguous.
    """

    first: Optional[Array] = None
    last: Optional[Array] = None

    @property
    def shape(self) -> Tuple[int, ...]:
        """The shape as Caffe has it."""
        if self.first is not None:
            return self.first.shape
        assert self.last is not None
        batch, height, width, channels = self.last.shape
        return batch, channels, height, width

    def channels_first(self) -> Array:
        """Return the array as Caffe has it."""
        if self.first is None:
            assert self.last is not None
            self.first = np.ascontiguousarray(self.last.transpose(TO_CHANNELS_FIRST))
        return self.first

    def channels_last(self) -> Array:
        """Return a 4-D tensor as (batch, height, width, channels)."""
        if self.last is None:
            assert self.first is not None and self.first.ndim == 4
            self.last = np.ascontiguousarray(self.first.transpose(TO_CHANNELS_LAST))
        return self.last

    def rows(self) -> Array:
        """Return a 4-D tensor as (batch * height * width, channels), any other as it is."""
        if self.last is None and self.first is not None and self.first.ndim != 4:
            return self.first.reshape(len(self.first), -1)
        array = self.channels_last()
        return array.reshape(-1, array.shape[3])


def of_rows(rows: Array, shape: Tuple[int, ...]) -> Tensor:
    """Return the tensor of ``shape`` (as Caffe has it) that ``rows`` hold."""
    if len(shape) != 4:
        return Tensor(first=rows.reshape(shape))
    batch, channels, height, width = shape
    return Tensor(last=rows.reshape(batch, height, width, channels))


def int8_of(stored: Array) -> NDArray[np.int8]:
    """Return the int8 values that uint8 ``q + 128`` stands for."""
    result: NDArray[np.int8] = (stored ^ np.uint8(128)).view(np.int8)
    return result


def readable(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the same values with room behind them, so that four bytes at a time may be read."""
    room = np.empty(array.size + 4, np.uint8)
    result = room[: array.size].reshape(array.shape)
    result[...] = array
    return result
