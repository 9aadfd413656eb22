"""The instructions that this processor has for products of 8-bit values with exact int32 sums.

Each class is a *tag*: an argument of a compiled function, whose type says which instructions the
function is compiled for.  All of them are exact.  (What is left out is ``vpmaddubsw``, the usual
choice on processors without VNNI: it saturates sums of two products at int16.)
"""

from __future__ import annotations

from typing import Any, FrozenSet, List, Mapping, NamedTuple, Tuple, Type, Union

import attrs


@attrs.frozen
class TileShape:
    """How a compiled product cuts its work.

    Attributes:
        lanes: int32 sums in one vector register.
        rows: rows of a tile, by the number of vectors of columns in it: as many as the sums of a
            tile, one weight per vector and one value fit the registers.
        packing: the order in memory of the weights of ``lanes`` columns and four taps of depth:
            ``quads`` (the four of one column together) or ``pairs`` (first the first two of every
            column, then the other two).
    """

    lanes: int
    rows: Mapping[int, int]
    packing: str

    @property
    def widest(self) -> int:
        """The largest number of vectors of columns in a tile."""
        return max(self.rows)


class Vnni512(NamedTuple):
    """``vpdpbusd`` on 512 bits: AVX512-VNNI, since Ice Lake and Zen 4."""

    tag: int = 0


class Vnni256(NamedTuple):
    """``vpdpbusd`` on 256 bits: AVX-VNNI, since Alder Lake."""

    tag: int = 0


class Avx2(NamedTuple):
    """``vpmaddwd`` on values widened to 16 bits: x86 processors since Haswell and Zen."""

    tag: int = 0


class Portable(NamedTuple):
    """Products and sums that LLVM knows how to write for any processor."""

    tag: int = 0


Instructions = Union[Vnni512, Vnni256, Avx2, Portable]
InstructionsType = Type[Any]

TILE_SHAPES: Mapping[InstructionsType, TileShape] = {
    Vnni512: TileShape(16, {1: 12, 2: 12, 3: 8, 4: 6}, "quads"),
    Vnni256: TileShape(8, {1: 12, 2: 6}, "quads"),
    Avx2: TileShape(8, {1: 8, 2: 4}, "pairs"),
    Portable: TileShape(4, {1: 8, 2: 4}, "pairs"),
}

_NEEDED: Tuple[Tuple[InstructionsType, FrozenSet[str]], ...] = (
    (Vnni512, frozenset({"avx512f", "avx512vnni"})),
    (Vnni256, frozenset({"avx512vl", "avx512vnni"})),
    (Vnni256, frozenset({"avxvnni"})),
    (Avx2, frozenset({"avx2"})),
    (Portable, frozenset()),
)


def usable() -> List[Instructions]:
    """Return what the compiler may use here, the fastest first, each once."""
    features = _compiler_features()
    found: List[InstructionsType] = []
    for kind, needed in _NEEDED:
        if needed <= features and kind not in found:
            found.append(kind)
    return [kind() for kind in found]


def _compiler_features() -> FrozenSet[str]:
    """Return the processor features that numba compiles for; NUMBA_CPU_FEATURES may limit them."""
    from numba.core.registry import cpu_target

    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    return frozenset(name[1:] for name in features.split(",") if name.startswith("+"))
