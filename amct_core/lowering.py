"""Puts Quant and DeQuant around the quantized layers of a :class:`QuantizedModel`.

Every model that is written (fake-quant, deployable) is a rendering of the same steps,
:attr:`QuantizedModel.steps`, so that layer names, blob names and the sharing of Quants agree.

Names are AMCT's: ``<layer>_<input index>_quant_layer`` after the first layer that shares the Quant,
and ``<layer>_dequant_layer``.  The accumulator's blob is ``<layer>_accumulator``; the DeQuant's is
the layer's own, so that the rest of the network reads what it always read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Iterator, Tuple, Union

import attrs

from amct_core.graph import Node
from amct_core.graph.names import UniqueNames

if TYPE_CHECKING:
    from amct_core.quantized_model import QuantizedLayer, QuantizedModel


@attrs.frozen(eq=False)
class QuantStep:
    """``q - offset`` (or ``q``, in a deployable model) of a float blob."""

    name: str
    bottom: str
    top: str
    layer: QuantizedLayer


@attrs.frozen(eq=False)
class IntegerStep:
    """The layer itself, from int8 to the accumulator."""

    node: Node
    layer: QuantizedLayer
    bottom: str
    top: str


@attrs.frozen(eq=False)
class DequantStep:
    """Bias, shift N and ``deq_scale``: accumulator to float."""

    name: str
    bottom: str
    top: str
    layer: QuantizedLayer
    node: Node


@attrs.frozen(eq=False)
class FloatStep:
    """A layer that stays as it is."""

    node: Node


_ACCUMULATOR = "_accumulator"

Step = Union[QuantStep, IntegerStep, DequantStep, FloatStep]


def lower(model: QuantizedModel) -> Tuple[Step, ...]:
    """Return the steps of ``model`` in execution order."""
    return tuple(_steps(model))


def _steps(model: QuantizedModel) -> Iterator[Step]:
    names = UniqueNames(model.graph)
    quant_tops: Dict[Tuple[object, ...], str] = {}
    for node in model.graph.nodes:
        layer = model.layer(node.name)
        if layer is None:
            yield FloatStep(node)
            continue
        quant_top = quant_tops.get(layer.quant_key)
        if quant_top is None:
            quant_top = quant_tops[layer.quant_key] = names.unique(f"{node.name}_0_quant_layer")
            yield QuantStep(quant_top, node.bottoms[0], quant_top, layer)
        accumulator = names.unique(f"{node.name}{_ACCUMULATOR}")
        yield IntegerStep(node, layer, quant_top, accumulator)
        dequant = names.unique(f"{node.name}_dequant_layer")
        yield DequantStep(dequant, accumulator, node.tops[0], layer, node)


def layer_of_accumulator(blob: str) -> str:
    """Return the layer whose accumulators the blob ``blob`` holds, by its name."""
    return blob.rstrip("_").removesuffix(_ACCUMULATOR)
