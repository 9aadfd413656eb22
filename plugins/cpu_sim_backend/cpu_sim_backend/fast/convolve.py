"""Convolution of 8-bit values, and what follows it, in one pass over memory.

The output is a matrix of one row per output position and one column per channel.  It is computed
in tiles of :mod:`.tile`, whose sums never leave the first cache.  An inner product is a convolution
of one tap with one output position.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from cpu_sim_backend.fast.compiled import address, inlined, parallel
from cpu_sim_backend.fast.finish import finish_row, lanes_of
from cpu_sim_backend.fast.tile import tile_1, tile_2, tile_3, tile_4


class Window(NamedTuple):
    """Which inputs an output position reads; all int.

    Attributes:
        kernel_height, kernel_width, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x: of
            the layer.
        out_height, out_width: of its output.
    """

    kernel_height: int
    kernel_width: int
    stride_y: int
    stride_x: int
    pad_y: int
    pad_x: int
    dilation_y: int
    dilation_x: int
    out_height: int
    out_width: int


class Block(NamedTuple):
    """Neighbouring columns that one tile covers; arrays of int64, one value per block.

    Attributes:
        column, count: the first column, and how many there are.
        vectors: of columns in the tile.
        channel: the first input channel that they read: that of their group.
        weights: where their packed weights begin, in bytes.
    """

    column: Any
    count: Any
    vectors: Any
    channel: Any
    weights: Any


@inlined
def _addresses(
    x: Any, begin: int, pad: int, channel: int, w: Any, row: int, last: int, rows: int, out: Any
) -> None:
    """Write where each tap of ``rows`` output positions reads.

    Args:
        x: uint8 ``[batch, height, width, channels]``.
        begin: its address.
        pad: address of what padding reads.
        channel: the first channel to read.
        w: a :class:`Window`.
        row: the first output position; those behind ``last`` read what ``last`` reads.
        out: int64 ``[taps * rows]`` to write.
    """
    height, width, channels = x.shape[1], x.shape[2], x.shape[3]
    positions = w.out_height * w.out_width
    for r in range(rows):
        sample, position = divmod(min(row + r, last), positions)
        line, column = divmod(position, w.out_width)
        top, left = line * w.stride_y - w.pad_y, column * w.stride_x - w.pad_x
        corner = begin + ((sample * height + top) * width + left) * channels + channel
        inside = (
            top >= 0
            and left >= 0
            and top + (w.kernel_height - 1) * w.dilation_y < height
            and left + (w.kernel_width - 1) * w.dilation_x < width
        )
        at = r
        for i in range(w.kernel_height):
            y = i * w.dilation_y
            for j in range(w.kernel_width):
                z = j * w.dilation_x
                place = corner + (y * width + z) * channels
                if not inside and (
                    top + y < 0 or top + y >= height or left + z < 0 or left + z >= width
                ):
                    place = pad
                out[at] = place
                at += rows


@parallel
def convolve(
    instructions: Any,
    x: Any,
    padding: Any,
    weights: Any,
    blocks: Any,
    depth: int,
    tile_rows: Any,
    window: Any,
    bias: Any,
    chunk: int,
    f: Any,
) -> int:
    """Run a convolution and what follows; return 0 if no residual brought a NaN in.

    Args:
        instructions: a tag of :mod:`.instructions`.
        x: uint8 ``[batch, height, width, channels]``, contiguous.  Up to 3 bytes behind its end
            are read where ``depth`` is no multiple of 4.
        padding: uint8, what padding holds, in at least ``depth + 3`` copies.
        weights: int8, packed.
        blocks: a :class:`Block`.
        depth: channels that each tap reads.
        tile_rows: int64, rows of a tile by its vectors of columns.
        window: a :class:`Window`.
        bias: int32 ``[channels]`` and a vector more, with what the zero point of ``x`` makes
            necessary.
        chunk: rows of one piece of work.
        f: a :class:`.finish.Finish`.
    """
    rows = x.shape[0] * window.out_height * window.out_width
    taps = window.kernel_height * window.kernel_width
    steps = (depth + 3) // 4
    count = len(blocks.column)
    pieces = (rows + chunk - 1) // chunk * count
    begin, pad, first_weight = address(x), address(padding), address(weights)
    most, lanes = tile_rows.max(), lanes_of(instructions)
    nans = np.zeros(pieces, np.int64)  # per piece: a sum inside of the loops would be lost
    for piece in numba.prange(pieces):
        block = piece % count
        column, columns = blocks.column[block], blocks.count[block]
        vectors, channel = blocks.vectors[block], blocks.channel[block]
        factors = first_weight + blocks.weights[block]
        height, breadth = tile_rows[vectors], vectors * lanes
        addresses = np.empty(taps * most, np.int64)
        sums = np.empty(most * 4 * lanes, np.int32)
        reads, writes = address(addresses), address(sums)
        start = piece // count * chunk
        end = min(start + chunk, rows)
        for row in range(start, end, height):
            _addresses(x, begin, pad, channel, window, row, end - 1, height, addresses)
            if vectors == 4:
                tile_4(instructions, reads, taps, steps, factors, writes)
            elif vectors == 3:
                tile_3(instructions, reads, taps, steps, factors, writes)
            elif vectors == 2:
                tile_2(instructions, reads, taps, steps, factors, writes)
            else:
                tile_1(instructions, reads, taps, steps, factors, writes)
            for r in range(min(height, end - row)):
                own = writes + 4 * r * breadth
                nans[piece] |= finish_row(instructions, own, columns, row + r, column, bias, f)
    return int(nans.max()) if pieces else 0
