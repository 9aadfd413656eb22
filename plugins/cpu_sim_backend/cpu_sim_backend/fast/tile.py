"""The product of a tile: some rows of 8-bit values times some columns of weights, in registers.

A tile has so few sums that all of them stay in vector registers while the whole depth is added up.
The rows need not lie in one matrix: for each tap of a convolution there is an address per row, so
that no input is ever unfolded.

numba has no vector registers, so the loop is written in LLVM's language.  In Python it would be::

    for tap in range(taps):
        for step in range(steps):              # four values of depth at a time
            for row in range(rows):
                four = read 4 bytes at addresses[tap][row] + 4 * step
                for v in range(vectors):
                    sums[row][v] += dot products of four with weights[tap][step][v]

Sums wrap around modulo 2**32, so they are right whenever the true sum fits int32, in whatever
order they are taken.
"""

from __future__ import annotations

from typing import Any, Callable, List, Mapping, Sequence, Tuple

from llvmlite import ir
from numba import types

from cpu_sim_backend.fast.compiled import in_llvm
from cpu_sim_backend.fast.instructions import TILE_SHAPES, Avx2, InstructionsType, Vnni256, Vnni512
from cpu_sim_backend.fast.vectors import I8, I16, I32, I64, function, int64, load, splat

_MULTIPLY_ADD: Mapping[InstructionsType, str] = {
    Vnni512: "llvm.x86.avx512.vpdpbusd.512",
    Vnni256: "llvm.x86.avx512.vpdpbusd.256",
}


class _Quads:
    """Steps of ``vpdpbusd``: uint8 times int8, four products added to each int32."""

    def __init__(self, builder: ir.IRBuilder, tag: InstructionsType, lanes: int) -> None:
        self._builder = builder
        self._kind = ir.VectorType(I32, lanes)
        kind = self._kind
        self._function = function(builder, _MULTIPLY_ADD[tag], kind, kind, kind, kind)

    def weights(self, address: Any) -> Any:
        return load(self._builder, address, self._kind, 4)

    def four(self, address: Any) -> Any:
        return splat(self._builder, load(self._builder, address, I32, 1), self._kind.count)

    def add(self, sums: Any, four: Any, weights: Any) -> Any:
        return self._builder.call(self._function, [sums, four, weights])


class _Pairs:
    """Steps on values widened to 16 bits: two products added to each int32, twice."""

    def __init__(self, builder: ir.IRBuilder, tag: InstructionsType, lanes: int) -> None:
        self._builder = builder
        self._lanes = lanes
        self._wide = ir.VectorType(I16, 2 * lanes)
        self._sums = ir.VectorType(I32, lanes)
        self._function = None
        if tag is Avx2:
            name = "llvm.x86.avx2.pmadd.wd"
            self._function = function(builder, name, self._sums, self._wide, self._wide)

    def weights(self, address: Any) -> Tuple[Any, Any]:
        narrow = ir.VectorType(I8, 2 * self._lanes)
        second = self._builder.add(address, int64(2 * self._lanes))
        halves = (load(self._builder, place, narrow, 4) for place in (address, second))
        first, last = (self._builder.sext(half, self._wide) for half in halves)
        return first, last

    def four(self, address: Any) -> Tuple[Any, Any]:
        four = load(self._builder, address, ir.VectorType(I8, 4), 1)
        wide = self._builder.zext(four, ir.VectorType(I16, 4))
        pairs = self._builder.bitcast(wide, ir.VectorType(I32, 2))
        first, last = (
            self._builder.bitcast(splat(self._builder, pairs, self._lanes, lane), self._wide)
            for lane in (0, 1)
        )
        return first, last

    def add(self, sums: Any, four: Any, weights: Any) -> Any:
        for values, factors in zip(four, weights):
            sums = self._builder.add(sums, self._pairs(values, factors))
        return sums

    def _pairs(self, values: Any, factors: Any) -> Any:
        if self._function is not None:
            return self._builder.call(self._function, [values, factors])
        undefined = ir.Constant(self._wide, ir.Undefined)
        parity = []
        for first in (0, 1):
            lanes = ir.Constant(self._sums, [first + 2 * lane for lane in range(self._lanes)])
            x, w = (self._builder.shuffle_vector(v, undefined, lanes) for v in (values, factors))
            x, w = (self._builder.sext(v, self._sums) for v in (x, w))
            parity.append(self._builder.mul(x, w))
        return self._builder.add(*parity)


def _accumulate(builder: ir.IRBuilder, tag: Any, vectors: int, arguments: Sequence[Any]) -> None:
    """Write the loops of the module's docstring."""
    addresses, taps, steps, weights, out = arguments
    shape = TILE_SHAPES[tag]
    rows, lanes = shape.rows[vectors], shape.lanes
    arithmetic = (_Quads if shape.packing == "quads" else _Pairs)(builder, tag, lanes)
    sums_kind = ir.VectorType(I32, lanes)
    loops = _Loops(builder, rows * vectors, ir.Constant(sums_kind, [0] * lanes))
    step_bytes = 4 * lanes

    with_tap = loops.begin_taps(weights)
    first = builder.mul(with_tap, int64(8 * rows))
    starts = [
        load(builder, builder.add(addresses, builder.add(first, int64(8 * row))), I64, 8)
        for row in range(rows)
    ]
    step, place, sums = loops.begin_steps()
    factors = [
        arithmetic.weights(builder.add(place, int64(step_bytes * v))) for v in range(vectors)
    ]
    depth = builder.shl(step, int64(2))
    added: List[Any] = []
    for row in range(rows):
        four = arithmetic.four(builder.add(starts[row], depth))
        for v in range(vectors):
            added.append(arithmetic.add(sums[row * vectors + v], four, factors[v]))
    loops.end_steps(added, steps, int64(step_bytes * vectors))
    loops.end_taps(added, taps)
    for index, total in enumerate(added):
        address = builder.add(out, int64(step_bytes * index))
        stored = builder.store(total, builder.inttoptr(address, sums_kind.as_pointer()))
        stored.align = 4


class _Loops:
    """Two nested loops, at least one turn each, that carry sums and an address of weights."""

    def __init__(self, builder: ir.IRBuilder, count: int, zero: ir.Constant) -> None:
        self._builder = builder
        self._count = count
        self._zero = zero
        self._entry = builder.block
        names = ("tap", "step", "tap_end", "done")
        blocks = [builder.function.append_basic_block(name) for name in names]
        self._tap_block, self._step_block, self._tap_end, self._done = blocks

    def begin_taps(self, weights: Any) -> Any:
        builder = self._builder
        builder.branch(self._tap_block)
        builder.position_at_end(self._tap_block)
        self._tap = self._phi(I64, int64(0), self._entry)
        self._tap_place = self._phi(I64, weights, self._entry)
        self._tap_sums = [
            self._phi(self._zero.type, self._zero, self._entry) for _ in range(self._count)
        ]
        return self._tap

    def begin_steps(self) -> Tuple[Any, Any, List[Any]]:
        builder = self._builder
        builder.branch(self._step_block)
        builder.position_at_end(self._step_block)
        self._step = self._phi(I64, int64(0), self._tap_block)
        self._place = self._phi(I64, self._tap_place, self._tap_block)
        self._sums = [self._phi(s.type, s, self._tap_block) for s in self._tap_sums]
        return self._step, self._place, self._sums

    def end_steps(self, sums: Sequence[Any], steps: Any, advance: Any) -> None:
        builder = self._builder
        step = builder.add(self._step, int64(1))
        self._next_place = builder.add(self._place, advance)
        self._carry(self._step_block, [self._step, self._place], [step, self._next_place])
        self._carry(self._step_block, self._sums, sums)
        more = builder.icmp_signed("<", step, steps)
        builder.cbranch(more, self._step_block, self._tap_end)
        builder.position_at_end(self._tap_end)

    def end_taps(self, sums: Sequence[Any], taps: Any) -> None:
        builder = self._builder
        tap = builder.add(self._tap, int64(1))
        self._carry(self._tap_end, [self._tap, self._tap_place], [tap, self._next_place])
        self._carry(self._tap_end, self._tap_sums, sums)
        more = builder.icmp_signed("<", tap, taps)
        builder.cbranch(more, self._tap_block, self._done)
        builder.position_at_end(self._done)

    def _phi(self, kind: ir.Type, value: Any, block: Any) -> Any:
        phi = self._builder.phi(kind)
        phi.add_incoming(value, block)
        return phi

    def _carry(self, block: Any, phis: Sequence[Any], values: Sequence[Any]) -> None:
        for phi, value in zip(phis, values):
            phi.add_incoming(value, block)


def _tile_product(vectors: int) -> Callable[..., None]:
    @in_llvm
    def product(
        typing: Any, tag: Any, addresses: Any, taps: Any, steps: Any, weights: Any, out: Any
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kind = signature.args[0].instance_class
            if vectors in TILE_SHAPES[kind].rows:
                _accumulate(builder, kind, vectors, arguments[1:])
            return context.get_dummy_value()

        return types.void(tag, *[types.int64] * 5), generate

    return product


tile_1, tile_2, tile_3, tile_4 = (_tile_product(vectors) for vectors in (1, 2, 3, 4))
"""``(instructions, addresses, taps, steps, weights, out)`` for tiles of 1 to 4 vectors of columns.

Args:
    instructions: a tag of :mod:`.instructions`.
    addresses: of int64 ``[taps, rows]``: where the values of each tap and row begin.  ``4 * steps``
        bytes are read there, those beyond the depth multiplied by zero.
    taps, steps: turns of the loops, at least 1 each.
    weights: address of int8 ``[taps, steps, vectors, 4 * lanes]``, packed as the instructions say.
    out: address of int32 ``[rows, vectors * lanes]`` to write.

A width that the instructions have no shape for generates nothing, and must not be called.
"""

__all__ = ["tile_1", "tile_2", "tile_3", "tile_4"]
