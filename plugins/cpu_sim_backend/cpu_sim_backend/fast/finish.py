"""What follows the sums of a quantized layer, while they are still in the first cache.

Bias, shift by N, DeQuant, ReLU, a residual sum, another ReLU, and the Quant of the next layer, one
vector of channels at a time.  Arithmetic is that of :mod:`amct_core.numerics`, operation by
operation in float32: no fused multiply-add, no reordering.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from cpu_sim_backend.fast.compiled import address, in_llvm, inlined, parallel
from cpu_sim_backend.fast.instructions import TILE_SHAPES
from cpu_sim_backend.fast.vectors import Lanes, int64

LONGEST_VECTOR = 16
"""Values in the longest vector: so much longer are arrays of one value per channel."""

_CHUNKS = 64
"""Rows are cut into at most so many pieces of work."""


class Finish(NamedTuple):
    """What to do with sums, and where to write; an empty array means: not this.

    Arrays of ``[channels]`` are longer than that by at least a vector, so that vectors may be read.

    Attributes:
        shift: int32 ``[channels]``, N of each, or empty.
        deq_scale: float32 ``[channels]``.
        floor: float32; what DeQuant gives is not let below: 0 for a ReLU, else minus infinity.
        residual: float32 ``[rows, channels]`` to add then, or empty.
        floor_after: the same for that sum.
        accumulators: int32 ``[rows, channels]`` to write, or empty.
        floats: float32 ``[rows, channels]`` to write, or empty.
        scale, offset: float32, of the Quant behind.
        integers: uint8 ``[rows, at least first + channels]`` to write, or empty.
        first: the column of ``integers`` at which this layer's channels begin.
    """

    shift: Any
    deq_scale: Any
    floor: Any
    residual: Any
    floor_after: Any
    accumulators: Any
    floats: Any
    scale: Any
    offset: Any
    integers: Any
    first: int


def only_accumulators(accumulators: NDArray[np.int32]) -> Finish:
    """Return what writes sums as they are into int32 ``[rows, channels]``."""
    no_floats, nothing = np.empty((0, 0), np.float32), np.float32(0)
    return Finish(
        shift=np.empty(0, np.int32),
        deq_scale=np.zeros(accumulators.shape[1] + LONGEST_VECTOR, np.float32),
        floor=nothing,
        residual=no_floats,
        floor_after=nothing,
        accumulators=accumulators,
        floats=no_floats,
        scale=nothing,
        offset=nothing,
        integers=np.empty((0, 0), np.uint8),
        first=0,
    )


class Places(NamedTuple):
    """Addresses of one vector's worth of what :class:`Finish` names; 0: not this."""

    sums: int
    bias: int
    shift: int
    deq_scale: int
    residual: int
    accumulators: int
    floats: int
    integers: int


@in_llvm
def _finish_vector(
    typing: Any,
    tag: Any,
    count: Any,
    places: Any,
    floor: Any,
    floor_after: Any,
    scale: Any,
    offset: Any,
) -> Any:
    """Finish one vector of at most ``lanes`` sums; return whether one has become NaN, as int64.

    In Python, ``x`` being the vector::

        sums += bias
        accumulators = sums
        if shift:
            sums = clamp(sums >> shift, -32768, 32767) << shift
        x = max(float32(sums) * deq_scale, floor)
        if residual:
            x = max(x + residual, floor_after)
        floats = x
        integers = uint8(rint(clamp(x * scale + offset, -128, 127)) + 128)
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes = TILE_SHAPES[signature.args[0].instance_class].lanes
        place = Places(
            *(builder.extract_value(arguments[2], i) for i in range(len(Places._fields)))
        )
        v = Lanes(builder, lanes, arguments[1])
        sums = builder.add(v.load_int32(place.sums), v.load_int32(place.bias))
        v.store(sums, place.accumulators)
        (sums,) = v.when(place.shift, lambda: [v.shifted(sums, v.load_int32(place.shift))], [sums])
        x = builder.fmul(v.to_float32(sums), v.load_float32(place.deq_scale))
        x = v.at_least(x, arguments[3])

        def with_residual() -> Sequence[Any]:
            total = builder.fadd(x, v.load_some(place.residual))
            return v.at_least(total, arguments[4]), v.any_nan(total)

        x, nan = v.when(place.residual, with_residual, [x, int64(0)])
        v.store(x, place.floats)
        v.store(v.quantized(x, arguments[5], arguments[6]), place.integers)
        return nan

    floats = [types.float32] * 4
    return types.int64(tag, types.int64, places, *floats), generate


@inlined
def finish_row(
    instructions: Any, sums: int, count: int, row: int, column: int, bias: Any, f: Any
) -> int:
    """Finish the sums of one row; return 0 if none has become NaN, which only a residual can cause.

    Args:
        instructions: a tag of :mod:`.instructions`.
        sums: address of int32 ``[count]``; whole vectors are read.
        count: of sums.
        row, column: where the first one belongs.
        bias: int32 ``[channels]``, added modulo 2**32; longer by at least a vector.
        f: a :class:`Finish`.
    """
    lanes = lanes_of(instructions)
    residual = floats = accumulators = integers = shift = 0
    if f.residual.size > 0:
        residual = address(f.residual[row, column:])
    if f.floats.size > 0:
        floats = address(f.floats[row, column:])
    if f.accumulators.size > 0:
        accumulators = address(f.accumulators[row, column:])
    if f.integers.size > 0:
        integers = address(f.integers[row, f.first + column :])
    if f.shift.size > 0:
        shift = address(f.shift[column:])
    own_bias, deq_scale = address(bias[column:]), address(f.deq_scale[column:])
    nans = 0
    for done in range(0, count, lanes):
        place = 4 * done
        nans |= _finish_vector(
            instructions,
            count - done,
            Places(
                sums + place,
                own_bias + place,
                shift + place if shift else 0,
                deq_scale + place,
                residual + place if residual else 0,
                accumulators + place if accumulators else 0,
                floats + place if floats else 0,
                integers + done if integers else 0,
            ),
            f.floor,
            f.floor_after,
            f.scale,
            f.offset,
        )
    return nans


@in_llvm
def lanes_of(typing: Any, tag: Any) -> Any:
    """Return how many int32 a vector of these instructions holds, as a constant."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes = TILE_SHAPES[signature.args[0].instance_class].lanes
        return context.get_constant(types.int64, lanes)

    return types.int64(tag), generate


@parallel
def finish_rows(instructions: Any, sums: Any, bias: Any, f: Any) -> int:
    """Finish sums that are in memory; return 0 if none has become NaN.

    Args:
        instructions: a tag of :mod:`.instructions`.
        sums: int32 ``[rows, channels]``.
        bias: int32 ``[channels]`` and a vector more.
        f: a :class:`Finish`.
    """
    rows, channels = sums.shape
    chunks = min(rows, _CHUNKS)
    nans = np.zeros(chunks, np.int64)  # per piece: a sum inside of the loops would be lost
    for chunk in numba.prange(chunks):
        own = np.empty(channels + lanes_of(instructions), np.int32)
        for row in range(chunk * rows // chunks, (chunk + 1) * rows // chunks):
            own[:channels] = sums[row]
            nans[chunk] |= finish_row(instructions, address(own), channels, row, 0, bias, f)
    return int(nans.max()) if chunks else 0
