"""Array types and layouts shared by the numerics.

"Per channel" values lie along one axis of a tensor, the *channel axis*: 0 for the weights of
Convolution and InnerProduct, 1 for those of Deconvolution and for activations.  ``None`` stands for
one value for the whole tensor.
"""

from __future__ import annotations

from typing import Any, Iterator, Optional, Sequence, Tuple, Union

import numpy as np
from numpy.typing import NDArray

from amct_core.errors import QuantizationError

Array = NDArray[Any]
Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
Int8Array = NDArray[np.int8]
Int16Array = NDArray[np.int16]
Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]
UInt8Array = NDArray[np.uint8]
UInt64Array = NDArray[np.uint64]
Real = Union[float, "np.floating[Any]"]

CHUNK = 1 << 15
"""Elements worked on at a time, so that temporaries stay in a processor's cache."""


def channel_rows(tensor: Array, channel_axis: Optional[int]) -> Array:
    """Return ``tensor`` as 2-D ``[C, n]``, one row per channel (``[1, n]`` without an axis)."""
    if channel_axis is None:
        return tensor.reshape(1, -1)
    return np.moveaxis(tensor, channel_axis, 0).reshape(tensor.shape[channel_axis], -1)


def along_channels(values: Array, tensor: Array, channel_axis: Optional[int]) -> Array:
    """Return 1-D ``values`` shaped so that they broadcast along the channel axis of ``tensor``.

    A single value serves the whole tensor, with or without a channel axis.

    Raises:
        QuantizationError: there is neither one value nor one per channel.
    """
    values = np.atleast_1d(values)
    if values.shape == (1,):
        return values.reshape((1,) * tensor.ndim)
    channels = None if channel_axis is None else tensor.shape[channel_axis]
    if channel_axis is None or values.shape != (channels,):
        expected = "1" if channels is None else f"1 or {channels} (one per channel)"
        raise QuantizationError(
            f"{values.shape} values for a tensor of shape {tensor.shape}; expected {expected}.",
            remedy="Give one value per channel along channel_axis, or a single one.",
        )
    shape = [1] * tensor.ndim
    shape[channel_axis] = values.size
    return values.reshape(shape)


def flat_chunks(*tensors: Array) -> Iterator[Tuple[Array, ...]]:
    """Yield equally cut, flat pieces of tensors that have the same size."""
    flat = [tensor.reshape(-1) for tensor in tensors]
    for start in range(0, flat[0].size, CHUNK):
        yield tuple(tensor[start : start + CHUNK] for tensor in flat)


def row_chunks(tensor: Array) -> Iterator[slice]:
    """Yield slices of the first axis of ``tensor``, each of at most CHUNK elements or one row."""
    step = max(1, CHUNK * len(tensor) // max(1, tensor.size))
    for start in range(0, len(tensor), step):
        yield slice(start, start + step)


def channel_list(faulty: Sequence[bool] | Array) -> str:
    """Return "channel 3" or "channels 1, 4, 5, ..." for the true entries, for messages."""
    indices = np.flatnonzero(faulty)
    shown = ", ".join(str(index) for index in indices[:8]) + (", ..." if indices.size > 8 else "")
    return f"channel{'' if indices.size == 1 else 's'} {shown}"
