"""Tensors in the fast engine's own layout, and their way back to Caffe's."""

from __future__ import annotations

import math
from typing import Any, Optional, Sequence, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from cpu_sim_backend.fast.layout import to_channels_last

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

    @property
    def size(self) -> int:
        """The size in bytes."""
        array = self.first if self.first is not None else self.last
        assert array is not None
        return int(array.nbytes)

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
            batch, channels, height, width = self.first.shape
            self.last = np.empty((batch, height, width, channels), self.first.dtype)
            to_channels_last(self.first, self.last, 0, 0)
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


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Return one tensor of the samples of all ``parts``, in order."""
    if len(parts) == 1:
        return parts[0]
    if all(part.last is not None for part in parts):
        return Tensor(last=np.concatenate([part.channels_last() for part in parts]))
    return Tensor(first=np.concatenate([part.channels_first() for part in parts]))


def int8_of(stored: Array) -> NDArray[np.int8]:
    """Return the int8 values that uint8 ``q + 128`` stands for."""
    result: NDArray[np.int8] = (stored ^ np.uint8(128)).view(np.int8)
    return result


def with_room(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the same values with room behind them, so that four bytes at a time may be read."""
    result = _room(array.shape)
    result[...] = array
    return result


def padded(x: Tensor, pad: Tuple[int, ...], value: int) -> NDArray[np.uint8]:
    """Return 8-bit values channels last with ``value`` around them, room behind them.

    Args:
        x: a 4-D tensor.
        pad: lines above and below, columns on the left and on the right.
        value: what they hold.
    """
    (top, left), (batch, channels, height, width) = pad, x.shape
    result = _room((batch, height + 2 * top, width + 2 * left, channels))
    if top or left:
        result[...] = value
    if x.last is not None:
        result[:, top : top + height, left : left + width] = x.last
    else:
        to_channels_last(x.channels_first(), result, top, left)
    return result


def _room(shape: Tuple[int, ...]) -> NDArray[np.uint8]:
    size = math.prod(shape)
    return np.empty(size + 4, np.uint8)[:size].reshape(shape)
