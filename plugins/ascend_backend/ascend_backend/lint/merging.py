"""Which Quants ATC merges with the DeQuant before them where they should stay apart.

On processors of ISA v200 ATC makes one operator of a DeQuant and the Quants behind it if their
scales are equal.  It does not compare their offsets: the last Quant's is built in, and all readers
get what that one makes.

Source: :mod:`ascend_backend.merging`.
"""

from __future__ import annotations

from typing import Iterator, Tuple

from amct_core.extensions.processor_family import REQUANTIZED
from amct_core.graph import Node
from amct_core.graph.attributes import Quant
from ascend_backend.lint.facts import target_of
from ascend_backend.lint.fusion import fused
from ascend_backend.lint.model import DeployModel
from ascend_backend.targets import AscendFamily, families


def merges(model: DeployModel) -> bool:
    """Return whether the target is known, and is one that merges so."""
    target = target_of(model)
    return target is not None and target.family.merges.value == REQUANTIZED


def merged_with_another_offset(model: DeployModel) -> Iterator[Tuple[Node, ...]]:
    """Yield groups of Quants, in order, whose offsets differ and that v200 merges nevertheless.

    They are those of any processor of that kind if ``model`` has no such target.
    """
    target = target_of(model)
    family = target.family if target is not None and merges(model) else _any_that_merges()
    found = fused(model, family)
    for group in () if found is None else found.merged:
        assert found is not None
        quants = tuple(found.graph.node(name) for name in group.quants)
        # Behind a ReLU6 or LeakyReLU the Quants stay, each with its offset.
        if not group.keeps_relu and len({offset(quant) for quant in quants}) > 1:
            yield quants


def offset(quant: Node) -> int:
    """Return the offset of a Quant."""
    return quant.typed(Quant).offset


def _any_that_merges() -> AscendFamily:
    return next(family for family in families() if family.merges.value == REQUANTIZED)
