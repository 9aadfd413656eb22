"""Rules on what comes of merging DeQuants with Quants, and of float16 deq_scales."""

from __future__ import annotations

from typing import Iterator, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import AmctError
from amct_core.extensions import Merged
from amct_core.extensions.processor_family import FLOAT16_SCALE, MERGED
from amct_core.graph import Node
from amct_core.graph.attributes import DeQuant
from amct_core.numerics import ascend_v100, float16
from ascend_backend.lint.dequant_rules import deq_scales
from ascend_backend.lint.facts import follows, known, target_of
from ascend_backend.lint.fusion import Fused, fused
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.ranges import largest_accumulators, largest_quantized
from ascend_backend.lint.rule import ERROR, WARNING, Problem, Rule
from ascend_backend.merging import ALIGNMENT, misaligned, readers

_BLOB = "blobs[0]"


def check_second_readers(model: DeployModel) -> Iterator[Problem]:
    """Find DeQuants that get the scale of a Quant behind a Concat, and have other readers."""
    target = target_of(model)
    if target is None or target.family.merges.value != MERGED:
        return
    found = fused(model, target.family)
    if found is None:
        return
    for group in found.merged:
        own = {group.concat, *group.relus}
        for dequant in _over_concat(found, group):
            # Each reader once; a Concat that reads it twice has it scaled twice.
            names = [reader.name for reader in readers(found.graph, dequant)]
            others = [name for name in names if name not in own or names.count(name) > 1]
            if others:
                yield Problem(
                    f"ATC multiplies it with the scale {group.scale:g} of '{group.quants[0]}', "
                    f"which reads it through '{group.concat}'; '{others[0]}' reads it, too, and "
                    f"gets wrong numbers {follows(target.family.merges)}.",
                    dequant.name,
                    "top",
                )


def _over_concat(found: Fused, group: Merged) -> Tuple[Node, ...]:
    return tuple(found.graph.node(name) for name in group.dequants) if group.concat else ()


@attrs.frozen(eq=False)
class _Scaled:
    """A DeQuant whose processor multiplies in float16.

    Attributes:
        node: the layer.
        scale: of the Quants that it is merged with; 1 without any.
        products: float32 deq_scale times ``scale``, per channel; may be infinite.
    """

    node: Node
    scale: float
    products: NDArray[np.float32]


def _scaled(found: Fused) -> Iterator[_Scaled]:
    """Yield the DeQuants whose deq_scales are positive numbers; others have a rule of their own."""
    by_name = {name: group.scale for group in found.merged for name in group.dequants}
    for node in found.graph.nodes:
        words = node.weights[0] if isinstance(node.attributes, DeQuant) and node.weights else None
        if words is None or words.dtype != np.uint64 or not words.size:
            continue
        scales = deq_scales(words.reshape(-1))
        if (np.isfinite(scales) & (scales > 0)).all():
            scale = by_name.get(node.name, 1.0)
            with np.errstate(over="ignore"):
                yield _Scaled(node, scale, scales * np.float32(scale))


def _multiplied_in_float16(model: DeployModel) -> Optional[Fused]:
    target = target_of(model)
    if target is None or target.family.dequantizes_to.value != FLOAT16_SCALE:
        return None
    return fused(model, target.family)


def check_large_products(model: DeployModel) -> Iterator[Problem]:
    """Find deq_scales that are too large for float16."""
    target, found = target_of(model), _multiplied_in_float16(model)
    if target is None or found is None:
        return
    for each in _scaled(found):
        largest = float(each.products.max())
        if largest > float16.LARGEST:
            merged = "" if each.scale == 1 else f", times the scale {each.scale:g} of a Quant,"
            what = f"deq_scale{merged} is up to {largest:g}"
            end = "takes 65504" if np.isfinite(largest) else "stops"
            yield Problem(
                f"{what}; float16 ends at 65504, and ATC {end} "
                f"{known(target.family.dequantizes_to)}.",
                each.node.name,
                _BLOB,
            )


def check_square_roots(model: DeployModel) -> Iterator[Problem]:
    """Find DeQuants whose first product in float16 saturates below what a Quant tells apart."""
    target, found = target_of(model), _multiplied_in_float16(model)
    if target is None or found is None:
        return
    for each in _scaled(found):
        reach = largest_quantized(found, each.node)
        try:
            stored = ascend_v100.scale(each.products)
        except AmctError:
            continue
        if reach is None or not stored.sqrt_mode:
            continue
        ends = float16.LARGEST * stored.d.astype(np.float64)
        wanted = reach.value if reach.merged else reach.value / reach.scale
        if not (ends < wanted).any():
            continue
        possible = largest_accumulators(found.graph, each.node, ends.size) * each.products
        cut = ends < np.minimum(possible, wanted)
        if cut.any():
            yield Problem(
                f"its deq_scales go down to {each.products.min():g}, so ATC stores square roots; "
                f"the first of two products ends at 65504, and {int(cut.sum())} channels with it "
                f"at {ends[cut].min():g} or above, where '{reach.quant}' takes values up to "
                f"{wanted:g} {follows(target.family.dequantizes_to)}.",
                each.node.name,
                _BLOB,
            )


def check_alignment(model: DeployModel) -> Iterator[Problem]:
    """Find Concats that are not merged for the channels of their inputs."""
    target = target_of(model)
    found = None if target is None else fused(model, target.family)
    if target is None or found is None:
        return
    for group, counts in misaligned(found.graph, target.family.merges.value):
        odd = sorted({count for count in counts if count % ALIGNMENT})
        yield Problem(
            f"inputs of it have {', '.join(map(str, odd))} channels; ATC merges "
            f"'{group.quants[0]}' with the DeQuants before it only if all have multiples of "
            f"{ALIGNMENT} {known(target.family.merges)}.",
            group.concat,
            "bottom",
        )


RULES = (
    Rule(
        "A115",
        ERROR,
        "A DeQuant before a Concat gets the scale of a Quant, and another layer reads it",
        "Leave the layers that read the Concat, or those before it, unquantized.",
        check_second_readers,
    ),
    Rule(
        "A116",
        WARNING,
        "A deq_scale is too large for float16",
        "Normalize the blob that the layer reads, or leave the layer unquantized.",
        check_large_products,
    ),
    Rule(
        "A117",
        WARNING,
        "A small deq_scale makes DeQuant saturate in float16",
        "Set channel_wise to false for the layer, or leave it unquantized.",
        check_square_roots,
    ),
    Rule(
        "A118",
        WARNING,
        "A Concat is not merged for the number of channels of its inputs",
        "Nothing needs to be done; multiples of 32 channels save the conversion to float16.",
        check_alignment,
    ),
)
