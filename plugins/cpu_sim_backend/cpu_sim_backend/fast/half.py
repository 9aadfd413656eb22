"""Rounding to float16, in registers, as :func:`amct_core.numerics.float16.rounded` does it.

Processors of x86 convert float32 to float16, but not float64, and not all of them; so the bits are
rounded as integers: half of the last place that is kept, less one if that place is even, is added
to the magnitude, and what lies below is cut off.  Subnormal numbers are rounded by a sum whose last
place is theirs.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from amct_core.numerics.float16 import LARGEST, SMALLEST_NORMAL
from cpu_sim_backend.fast.compiled import in_llvm

_MANTISSA = {"float32": 23, "float64": 52}
_HALF_MANTISSA = 10
_LAST_SUBNORMAL_BIT = 24


def _rounded(builder: ir.IRBuilder, x: Any, bits: int, mantissa: int) -> Any:
    kind, integer = x.type, ir.IntType(bits)
    function = ir.FunctionType(kind, [kind])
    magnitude_of = builder.module.declare_intrinsic("llvm.fabs", [kind], function)
    two = ir.FunctionType(kind, [kind, kind])
    signed = builder.module.declare_intrinsic("llvm.copysign", [kind], two)

    magnitude = builder.call(magnitude_of, [x])
    largest = ir.Constant(kind, LARGEST)
    within = builder.select(builder.fcmp_ordered(">", magnitude, largest), largest, magnitude)
    # Normal numbers: nearest, halves to even.
    dropped = mantissa - _HALF_MANTISSA
    raw = builder.bitcast(within, integer)
    last = builder.and_(builder.lshr(raw, integer(dropped)), integer(1))
    raised = builder.add(builder.add(raw, integer((1 << (dropped - 1)) - 1)), last)
    kept = builder.and_(raised, integer(-(1 << dropped)))
    normal = builder.bitcast(kept, kind)
    # Subnormal ones.
    shift = ir.Constant(kind, 1.5 * 2.0 ** (mantissa - _LAST_SUBNORMAL_BIT))
    small = builder.fsub(builder.fadd(within, shift), shift)
    is_small = builder.fcmp_ordered("<", within, ir.Constant(kind, SMALLEST_NORMAL))
    result = builder.call(signed, [builder.select(is_small, small, normal), x])
    return builder.select(builder.fcmp_unordered("uno", x, x), x, result)


@in_llvm
def to_half(typing: Any, x: Any) -> Any:
    """Return a float32 or float64 rounded to float16; saturated beyond 65504, NaN stays."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        return _rounded(builder, arguments[0], kind.bitwidth, _MANTISSA[kind.name])

    return (x(x), generate) if x in (types.float32, types.float64) else None
