"""Rules on Eltwise layers that ATC computes in int16, on processors of ISA v200."""

from __future__ import annotations

from typing import Iterator, List, Optional, Tuple

import numpy as np

from amct_core.extensions.processor_family import REQUANTIZED
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Eltwise, Quant
from ascend_backend.eltwise_int16 import Int16Sum, int16_sums
from ascend_backend.lint.facts import follows, known, target_of
from ascend_backend.lint.fusion import fused
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import ERROR, WARNING, Problem, Rule
from ascend_backend.merging import readers
from ascend_backend.targets import Target

_BINARY = 2


def _sums(model: DeployModel, equal_words: bool = True) -> List[Tuple[Graph, Target, Int16Sum]]:
    """Return the Eltwise layers in int16, or those that only unequal words keep from it."""
    target = target_of(model)
    if target is None or target.family.merges.value != REQUANTIZED:
        return []
    found = fused(model, target.family)
    if found is None:
        return []
    taken = {name for group in found.merged for name in group.dequants}
    sums = int16_sums(found.graph, taken)
    return [(found.graph, target, each) for each in sums if each.equal_words == equal_words]


def check_quants(model: DeployModel) -> Iterator[Problem]:
    """Find sums in int16 that ATC cannot make, and stops at."""
    for _, target, found in _sums(model):
        status = follows(target.family.merges)
        if not found.dequants:
            yield Problem(
                f"its inputs are sums in int16, and none is a DeQuant; ATC stops {status}.",
                found.eltwise.name,
                "bottom",
            )
        elif not found.quants:
            yield Problem(
                f"DeQuants with N are its inputs, and '{found.adders[0].name}' reads it, but no "
                f"Quant; ATC stops {status}.",
                found.eltwise.name,
                "top",
            )


def check_operation(model: DeployModel) -> Iterator[Problem]:
    """Find Eltwise layers that become a sum of two inputs, and are something else."""
    for _, target, found in _sums(model):
        wrong = _no_plain_sum(found.eltwise)
        if wrong is not None and found.quants and found.dequants:
            yield Problem(
                f"{wrong}; ATC makes a sum of its first two inputs of it, because they are "
                f"DeQuants with equal words and N {follows(target.family.merges)}.",
                found.eltwise.name,
                "eltwise_param",
            )


def _no_plain_sum(eltwise: Node) -> Optional[str]:
    a = eltwise.typed(Eltwise)
    if a.operation != "SUM":
        return f"its operation is {a.operation}"
    if any(coefficient != 1 for coefficient in a.coefficients):
        return f"its coefficients are {list(a.coefficients)}"
    return None if len(eltwise.inputs) == _BINARY else f"it has {len(eltwise.inputs)} inputs"


def check_factors(model: DeployModel) -> Iterator[Problem]:
    """Find Quants that get scale and offset of another one."""
    for _, target, found in _sums(model):
        for quant in found.quants[1:]:
            first, own = found.quants[0].typed(Quant), quant.typed(Quant)
            if (own.scale, own.offset) != (first.scale, first.offset) and found.dequants:
                yield Problem(
                    f"its scale and offset are {own.scale:g} and {own.offset}; ATC uses those of "
                    f"'{found.quants[0].name}', {first.scale:g} and {first.offset}, for both "
                    f"{follows(target.family.merges)}.",
                    quant.name,
                    "quant_param",
                )


def check_units(model: DeployModel) -> Iterator[Problem]:
    """Find layers that get int16 numbers and take them for others."""
    sums = _sums(model)
    in_int16 = {found.eltwise: found for _, _, found in sums}
    for graph, target, found in sums:
        status = follows(target.family.merges)
        for before in found.sums:
            units = in_int16[before].dequants
            if units and found.dequants and _differ(units[0], found.dequants[0]):
                yield Problem(
                    f"it adds the int16 numbers of '{before.name}' to those of "
                    f"'{found.dequants[0].name}', whose deq_scale or N is another {status}.",
                    found.eltwise.name,
                    "bottom",
                )
        strangers = [each for each in found.adders if each not in in_int16]
        strangers += [
            reader
            for relu in found.relus
            for reader in readers(graph, relu)
            if reader is not found.eltwise
        ]
        for reader in strangers:
            yield Problem(
                f"it reads int16 numbers that ATC makes for '{found.eltwise.name}', and takes them "
                f"for floats {status}.",
                reader.name,
                "bottom",
            )


def _differ(first: Node, second: Node) -> bool:
    return not np.array_equal(first.weights[0], second.weights[0])


def check_words(model: DeployModel) -> Iterator[Problem]:
    """Find Eltwise layers that stay in float16 because the words of their DeQuants differ."""
    for _, target, found in _sums(model, equal_words=False):
        names = ", ".join(f"'{node.name}'" for node in found.dequants)
        yield Problem(
            f"{names} have N, and words that differ; ATC adds float16 numbers, and what N cuts off "
            f"is lost for nothing {known(target.family.merges)}.",
            found.eltwise.name,
            "bottom",
        )


_WITHOUT_N = "Save the model with shift_n_algo 'none'."

RULES = (
    Rule("A110", ERROR, "ATC stops at a sum of DeQuants with N", _WITHOUT_N, check_quants),
    Rule(
        "A111",
        ERROR,
        "ATC makes a plain sum of another Eltwise",
        _WITHOUT_N,
        check_operation,
    ),
    Rule(
        "A112",
        ERROR,
        "Quants behind a sum in int16 differ",
        "Give the layers that read one blob the same scale_d and offset_d, or save the model with "
        "shift_n_algo 'none'.",
        check_factors,
    ),
    Rule(
        "A113",
        ERROR,
        "A layer gets int16 numbers in other units than its own",
        _WITHOUT_N,
        check_units,
    ),
    Rule(
        "A114",
        WARNING,
        "DeQuants with N before an Eltwise have unequal words",
        _WITHOUT_N,
        check_words,
    ),
)
