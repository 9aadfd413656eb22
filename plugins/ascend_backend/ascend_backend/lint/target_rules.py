"""Rules on what the processor does with the model."""

from __future__ import annotations

from typing import Callable, Iterable, Iterator, List, Optional, Sequence

import numpy as np

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_core.errors import AmctError
from amct_core.extensions import RolledBack
from amct_core.extensions.processor_family import REQUANTIZED
from amct_core.graph import Graph
from amct_core.graph.attributes import Quant
from amct_core.numerics.fixpipe import LOST_BITS
from ascend_backend.lint.facts import known, target_of
from ascend_backend.lint.fusion import fused
from ascend_backend.lint.graph import graph_of
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import ERROR, WARNING, Problem, Rule
from ascend_backend.rollback import FEW_CHANNELS, few_channels, pooling_windows
from ascend_backend.targets import UNKNOWN

_SHIFT_BITS = np.uint64(0xFF << 32)


def _some(layers: Sequence[Layer]) -> str:
    names = ", ".join(f"'{layer.name}'" for layer in layers[:3])
    return f"{len(layers)} DeQuant layers ({names}{', ...' if len(layers) > 3 else ''})"


def check_caffe(model: DeployModel) -> Iterator[Problem]:
    """Find processors for which ATC takes no Caffe models."""
    target = model.target
    if target is not None and target_of(model) is None:
        yield Problem(
            f"ATC takes no Caffe models for {target.soc_version} "
            f"{known(target.family.accepts_caffe)}.",
            field="--soc-version",
        )


def check_shift_counts(model: DeployModel) -> Iterator[Problem]:
    """Find a shift N that the processor does not apply."""
    target = target_of(model)
    if target is None:
        return
    fact = target.family.honours_shift_n
    if fact.value or fact.status == UNKNOWN:
        return
    shifting = _with_bits(model, _SHIFT_BITS)
    if shifting:
        yield Problem(
            f"{target.soc_version} ignores the N of {_some(shifting)}, and computes as with "
            f"N = 0 {known(fact)}.",
            field="N",
        )


def _with_bits(model: DeployModel, mask: np.uint64) -> List[Layer]:
    """Return the DeQuant layers with a word that has bits of ``mask``."""
    found = []
    for dequant in model.of_type("DeQuant"):
        words = model.words(dequant)
        if words is not None and (words & mask).any():
            found.append(dequant)
    return found


def check_few_channels(model: DeployModel) -> Iterator[Problem]:
    """Find quantized layers with few input channels."""
    for found in _rolled_back(model, lambda graph, _: few_channels(graph)):
        yield Problem(
            f"{found.reason}; {_turns(model)} quantized layers with at most {FEW_CHANNELS} back "
            f"into float16{_founded(model)}.",
            found.layer,
        )


def check_pooling_windows(model: DeployModel) -> Iterator[Problem]:
    """Find quantized Poolings whose windows have no int8 form."""
    for found in _rolled_back(model, pooling_windows):
        yield Problem(
            f"{found.reason}; {_turns(model)} such a layer back into float16{_founded(model)}.",
            found.layer,
        )


def _turns(model: DeployModel) -> str:
    target = model.target
    if target is None:
        return "ATC turns"
    unknown = target.family.rolls_back.status == UNKNOWN
    return f"ATC for {target.soc_version} {'may turn' if unknown else 'turns'}"


def _founded(model: DeployModel) -> str:
    return "" if model.target is None else f" {known(model.target.family.rolls_back)}"


def _rolled_back(
    model: DeployModel, find: Callable[[Graph, Optional[str]], Iterable[RolledBack]]
) -> Iterable[RolledBack]:
    """Return what ``find`` finds; nothing in a broken network, which other rules report.

    A processor of which it is not known counts as one that rolls back.
    """
    graph, target = graph_of(model), target_of(model)
    if graph is None or (target is None and model.target is not None):
        return []
    rolls = None if target is None else target.family.rolls_back
    if rolls is not None and not rolls.value and rolls.status != UNKNOWN:
        return []
    try:
        return list(find(graph, None if target is None else target.family.isa.value))
    except AmctError:
        return []


def check_cut(model: DeployModel) -> Iterator[Problem]:
    """Find deq_scales that lose bits."""
    target = target_of(model)
    if target is None or not target.family.cuts_deq_scale.value:
        return
    cut = _with_bits(model, LOST_BITS)
    if cut:
        yield Problem(
            f"{target.soc_version} clears the 13 lowest bits of deq_scale, which are set in "
            f"{_some(cut)}: up to 1/1024 of the output {known(target.family.cuts_deq_scale)}.",
            field="deq_scale",
        )


def check_float16(model: DeployModel) -> Iterator[Problem]:
    """Find models whose inputs are quantized in float16."""
    target = target_of(model)
    if target is None or not target.family.quantizes_in_fp16.value:
        return
    found = fused(model, target.family)
    if found is None:
        return
    names = [node.name for node in found.graph.nodes if isinstance(node.attributes, Quant)]
    gone = {
        name
        for group in found.merged
        for name in group.quants
        if target.family.merges.value == REQUANTIZED and not group.keeps_relu
    }
    summing = [name for name in names if name in found.merged_quants - gone]
    whole = [name for name in names if name not in found.merged_quants]
    parts = [f"{len(whole)} Quant layers in float16"] if whole else []
    if summing:
        parts.append(f"the offset of {len(summing)} that are merged with the DeQuant before them")
    if parts:
        yield Problem(
            f"{target.soc_version} computes {', and '.join(parts)}; the simulation without "
            f"--soc-version computes them in float32 {known(target.family.quantizes_in_fp16)}."
        )


_POOLING_FIX = (
    "Nothing needs to be done; leave the layer unquantized, or choose a window that fits the input."
)

RULES = (
    Rule(
        "A090",
        ERROR,
        "ATC takes no Caffe models for this processor",
        "Choose a processor for which ATC takes Caffe models.",
        check_caffe,
    ),
    Rule(
        "A091",
        WARNING,
        "The processor ignores N",
        "Save the model with shift_n_algo 'none': then the simulation does what the processor "
        "does.",
        check_shift_counts,
    ),
    Rule(
        "A092",
        WARNING,
        "A quantized layer with few input channels runs in float16",
        "Nothing needs to be done; leave the layer unquantized to save the effort.",
        check_few_channels,
    ),
    Rule(
        "A093",
        WARNING,
        "The processor cuts deq_scale to 19 bits",
        "Nothing can be done; expect outputs that differ from the simulation in the last digits.",
        check_cut,
    ),
    Rule(
        "A094",
        WARNING,
        "The processor quantizes in float16",
        "Nothing can be done; expect int8 inputs that differ from the simulation by 1 at times.",
        check_float16,
    ),
    Rule(
        "A095",
        WARNING,
        "A quantized AVE Pooling runs in float16",
        _POOLING_FIX,
        check_pooling_windows,
    ),
)
