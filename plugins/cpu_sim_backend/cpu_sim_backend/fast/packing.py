"""Weights in the order in which tiles read them."""

from __future__ import annotations

from typing import Any, List, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from cpu_sim_backend.fast.convolve import Block
from cpu_sim_backend.fast.instructions import TileShape

_STEP = 4
_ALIGNMENT = 64


@attrs.frozen(eq=False)
class PackedWeights:
    """The weights of one layer, cut into blocks of columns.

    Attributes:
        data: int8, all blocks one after the other, aligned to cache lines.
        blocks: where each begins and what it covers.
        depth: input channels that each tap reads.
        zero_sums: int32 ``[outputs]``, the sums of each output's weights: what one unit of the
            input's zero point adds to its sum.
    """

    data: NDArray[np.int8]
    blocks: Block
    depth: int
    zero_sums: NDArray[np.int32]


def pack(weights: NDArray[Any], groups: int, shape: TileShape) -> PackedWeights:
    """Pack the weights of a convolution.

    Args:
        weights: int8 ``[taps, depth, outputs]``; depth is that of one group.
        groups: the outputs are those of so many groups, one after the other.
        shape: of the tiles.
    """
    _, depth, outputs = weights.shape
    each = outputs // groups
    columns = [
        (group * each + start, count, vectors, group * depth)
        for group in range(groups)
        for start, count, vectors in _cut(each, shape)
    ]
    parts: List[NDArray[np.int8]] = []
    places: List[int] = []
    place = 0
    for first, count, vectors, _ in columns:
        part = _pack_block(weights[:, :, first : first + count], vectors * shape.lanes, shape)
        parts.append(part)
        places.append(place)
        place += part.size
    firsts, counts, widths, channels = (np.asarray(values, np.int64) for values in zip(*columns))
    sums = weights.astype(np.int64).sum(axis=(0, 1)).astype(np.int32)
    blocks = Block(firsts, counts, widths, channels, np.asarray(places, np.int64))
    return PackedWeights(_aligned(np.concatenate(parts)), blocks, depth, sums)


def _cut(outputs: int, shape: TileShape) -> List[Tuple[int, int, int]]:
    """Return (first, count, vectors) of blocks as wide as tiles get, and one for what is left."""
    result = []
    for first in range(0, outputs, shape.widest * shape.lanes):
        count = min(outputs - first, shape.widest * shape.lanes)
        result.append((first, count, -(-count // shape.lanes)))
    return result


def _pack_block(weights: NDArray[Any], columns: int, shape: TileShape) -> NDArray[np.int8]:
    """Return one block as flat int8; what is added to fill it up is zero."""
    taps, depth, count = weights.shape
    steps = -(-depth // _STEP)
    filled = np.zeros((taps, steps * _STEP, columns), np.int8)
    filled[:, :depth, :count] = weights
    vectors = columns // shape.lanes
    if shape.packing == "quads":
        # tap, step, value of the step, vector, lane
        parts = filled.reshape(taps, steps, _STEP, vectors, shape.lanes)
        return parts.transpose(0, 1, 3, 4, 2).reshape(-1)
    # tap, step, pair, value of the pair, vector, lane
    pairs = filled.reshape(taps, steps, 2, 2, vectors, shape.lanes)
    return pairs.transpose(0, 1, 4, 2, 5, 3).reshape(-1)


def _aligned(data: NDArray[np.int8]) -> NDArray[np.int8]:
    room = np.empty(data.size + _ALIGNMENT, np.int8)
    start = -room.ctypes.data % _ALIGNMENT
    result = room[start : start + data.size]
    result[:] = data
    return result
