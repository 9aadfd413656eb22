"""Vectors of int32 and float32 in LLVM's language: what numba does not have.

Only what the layers' arithmetic needs; every operation rounds as the one of NumPy does.
"""

from __future__ import annotations

from typing import Any, Callable, List, Sequence

from llvmlite import ir

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
_FLOAT = ir.FloatType()
_TO_BYTE = 12582912.0 + 128.0
"""1.5 * 2**23 + 128.  Added to a float32 of -128..127, it leaves room for no fraction: the sum is
rounded to the nearest even integer, as rint rounds, and its lowest byte is that integer + 128."""


def int64(value: int) -> ir.Constant:
    """Return a constant."""
    return ir.Constant(I64, value)


def splat(builder: ir.IRBuilder, value: Any, count: int, lane: int = 0) -> Any:
    """Return ``count`` copies of a scalar, or of one lane of a vector."""
    if not isinstance(value.type, ir.VectorType):
        one = ir.Constant(ir.VectorType(value.type, 1), ir.Undefined)
        value = builder.insert_element(one, value, ir.Constant(I32, 0))
    lanes = ir.Constant(ir.VectorType(I32, count), [lane] * count)
    return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), lanes)


def load(builder: ir.IRBuilder, address: Any, kind: ir.Type, align: int) -> Any:
    """Return what lies at an address."""
    loaded = builder.load(builder.inttoptr(address, kind.as_pointer()))
    loaded.align = align
    return loaded


def function(builder: ir.IRBuilder, name: str, result: ir.Type, *arguments: ir.Type) -> Any:
    """Return one of LLVM's functions, declared in this module."""
    declared = builder.module.globals.get(name)
    return declared or ir.Function(builder.module, ir.FunctionType(result, arguments), name)


class Lanes:
    """Writes operations on vectors of ``lanes`` values, of which the first ``count`` count."""

    def __init__(self, builder: ir.IRBuilder, lanes: int, count: Any) -> None:
        self._builder = builder
        self._lanes = lanes
        self._int32 = ir.VectorType(I32, lanes)
        self._float32 = ir.VectorType(_FLOAT, lanes)
        self._all = builder.icmp_signed(">=", count, int64(lanes))
        index = ir.Constant(self._int32, list(range(lanes)))
        counts = splat(builder, builder.trunc(count, I32), lanes)
        self._mask = builder.icmp_signed("<", index, counts)

    def load_int32(self, address: Any) -> Any:
        """Read a whole vector."""
        return load(self._builder, address, self._int32, 4)

    def load_float32(self, address: Any) -> Any:
        """Read a whole vector."""
        return load(self._builder, address, self._float32, 4)

    def load_some(self, address: Any) -> Any:
        """Read float32 of which those beyond ``count`` may not be there; they come as 0."""
        builder, kind = self._builder, self._float32
        with builder.if_else(self._all) as (whole, part):
            with whole:
                all_of_them = load(builder, address, kind, 4)
                whole_end = builder.block
            with part:
                some_of_them = self._load_some(address)
                part_end = builder.block
        result = builder.phi(kind)
        result.add_incoming(all_of_them, whole_end)
        result.add_incoming(some_of_them, part_end)
        return result

    def store(self, value: Any, address: Any) -> None:
        """Write the first ``count`` values, unless the address is 0."""
        builder = self._builder
        given, all_count = self._given(address), self._all
        with builder.if_then(given), builder.if_else(all_count) as (whole, part):
            with whole:
                pointer = builder.inttoptr(address, value.type.as_pointer())
                builder.store(value, pointer).align = 1
            with part:
                self._store_some(value, address)

    def when(
        self, address: Any, change: Callable[[], Sequence[Any]], values: Sequence[Any]
    ) -> List[Any]:
        """Return what ``change()`` makes of ``values`` unless the address is 0, else themselves."""
        builder = self._builder
        before = builder.block
        with builder.if_then(self._given(address)):
            changed = change()
            inside = builder.block
        results = []
        for old, new in zip(values, changed):
            result = builder.phi(old.type)
            result.add_incoming(old, before)
            result.add_incoming(new, inside)
            results.append(result)
        return results

    def to_float32(self, value: Any) -> Any:
        """Return int32 as the nearest float32, ties to even."""
        return self._builder.sitofp(value, self._float32)

    def shifted(self, sums: Any, shift: Any) -> Any:
        """Return ``clamp(sums >> shift, -32768, 32767) << shift``."""
        builder = self._builder
        shifted = builder.ashr(sums, shift)
        for limit, beyond in ((-32768, "<"), (32767, ">")):
            bound = ir.Constant(self._int32, [limit] * self._lanes)
            shifted = builder.select(builder.icmp_signed(beyond, shifted, bound), bound, shifted)
        return builder.shl(shifted, shift)

    def at_least(self, x: Any, floor: Any) -> Any:
        """Return the larger of each value and a scalar; NaN stays NaN."""
        bound = splat(self._builder, floor, self._lanes)
        return self._builder.select(self._builder.fcmp_ordered("<", x, bound), bound, x)

    def any_nan(self, x: Any) -> Any:
        """Return as int64 something other than 0 if one of the first ``count`` values is NaN."""
        builder = self._builder
        nans = builder.and_(builder.fcmp_unordered("uno", x, x), self._mask)
        return builder.zext(builder.bitcast(nans, ir.IntType(self._lanes)), I64)

    def quantized(self, x: Any, scale: Any, offset: Any) -> Any:
        """Return ``rint(clamp(x * scale + offset, -128, 127)) + 128`` as 8 bits."""
        builder = self._builder
        x = builder.fmul(x, splat(builder, scale, self._lanes))
        x = builder.fadd(x, splat(builder, offset, self._lanes))
        for limit, within in ((-128.0, ">"), (127.0, "<")):
            bound = ir.Constant(self._float32, [limit] * self._lanes)
            x = builder.select(builder.fcmp_ordered(within, x, bound), x, bound)
        rounded = builder.fadd(x, ir.Constant(self._float32, [_TO_BYTE] * self._lanes))
        bits = builder.bitcast(rounded, self._int32)
        return builder.trunc(bits, ir.VectorType(I8, self._lanes))

    def _given(self, address: Any) -> Any:
        return self._builder.icmp_signed("!=", address, int64(0))

    def _load_some(self, address: Any) -> Any:
        value = ir.Constant(self._float32, [0.0] * self._lanes)
        for lane in range(self._lanes - 1):
            before, index = self._builder.block, ir.Constant(I32, lane)
            with self._builder.if_then(self._builder.extract_element(self._mask, index)):
                one = load(self._builder, self._builder.add(address, int64(4 * lane)), _FLOAT, 4)
                more = self._builder.insert_element(value, one, index)
                inside = self._builder.block
            merged = self._builder.phi(self._float32)
            merged.add_incoming(value, before)
            merged.add_incoming(more, inside)
            value = merged
        return value

    def _store_some(self, value: Any, address: Any) -> None:
        builder, kind = self._builder, value.type.element
        size = 1 if kind == I8 else 4
        for lane in range(self._lanes - 1):
            index = ir.Constant(I32, lane)
            with builder.if_then(builder.extract_element(self._mask, index)):
                place = builder.add(address, int64(size * lane))
                pointer = builder.inttoptr(place, kind.as_pointer())
                builder.store(builder.extract_element(value, index), pointer)
