"""The table of targets, as the simulation asks for it."""

from __future__ import annotations

from typing import Callable, List, Sequence

from amct_core.extensions import Merged, Processor, RolledBack
from amct_core.extensions.processor import REQUANTIZED
from amct_core.graph import Graph
from ascend_backend.targets import Family, Target, families


def processors() -> List[Processor]:
    """Return one :class:`~amct_core.extensions.Processor` per family of targets."""
    return [_processor(family) for family in families()]


def _processor(family: Family) -> Processor:
    # Within a family all facts are alike: any of its names will do.
    target = family.target(family.examples[0])
    return Processor(
        name=family.name,
        description=family.description,
        pattern=family.pattern,
        examples=family.examples,
        quantizes_in_fp16=target.quantizes_in_fp16,
        cuts_deq_scale=target.cuts_deq_scale,
        honours_shift_n=target.honours_shift_n,
        rolls_back=target.rolls_back_few_channels,
        rolled_back=_rolled_back_on(target),
        dequantizes_to=target.dequantizes_to,
        merges=target.merges,
        merged=_merged_on(target),
        floats_in_fp16=target.floats_in_fp16,
        not_simulated=_not_simulated(target),
    )


def _rolled_back_on(target: Target) -> Callable[[Graph], Sequence[RolledBack]]:
    def rolled_back(graph: Graph) -> Sequence[RolledBack]:
        from ascend_backend.rollback import rolled_back as find

        return find(graph, target)

    return rolled_back


def _merged_on(target: Target) -> Callable[[Graph], Sequence[Merged]]:
    def merged(graph: Graph) -> Sequence[Merged]:
        from ascend_backend.merging import merged as find

        return find(graph, target)

    return merged


def _not_simulated(target: Target) -> List[str]:
    notes = ["The order in which float16 products are added is not public."]
    if target.merges.value == REQUANTIZED:
        notes.append(
            "An Eltwise of DeQuants with N and equal words adds int16 numbers "
            f"({target.merges.status})."
        )
    if target.accepts_caffe.value is False:
        notes.append(f"ATC takes no Caffe models for it ({target.accepts_caffe.status}).")
    return notes
