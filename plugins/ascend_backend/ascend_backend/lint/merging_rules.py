"""Rules on Quants that ATC merges with what stands before them."""

from __future__ import annotations

from typing import Iterator

from ascend_backend.lint.facts import follows
from ascend_backend.lint.merging import merged_with_another_offset, merges, offset
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import ERROR, Problem, Rule


def check_offsets(model: DeployModel) -> Iterator[Problem]:
    """Find Quants that get the offset of another one."""
    if model.target is None or not merges(model):
        return
    for *others, last in merged_with_another_offset(model):
        for quant in others:
            if offset(quant) != offset(last):
                yield Problem(
                    f"its offset is {offset(quant)}; ATC merges it with '{last.name}', which has "
                    f"the same scale, and uses that one's offset {offset(last)} "
                    f"{follows(model.target.family.merges)}.",
                    quant.name,
                    "quant_param.offset",
                )


RULES = (
    Rule(
        "A079",
        ERROR,
        "Quants that ATC merges differ in offset",
        "Give the layers that read one blob the same scale_d and offset_d.",
        check_offsets,
    ),
)
