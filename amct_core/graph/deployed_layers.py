"""The quantized layers of a deployable network, each between its Quant and its DeQuant.

The layer reads a Quant, alone or with others, and one DeQuant of its own reads its accumulators::

    Quant: q = clamp(rint(x * quant_scale + offset), -128, 127)
    layer: accumulator = integer layer of q - offset, plus bias
    DeQuant: float32(shift(accumulator, shift_n)) * deq_scale

:mod:`amct_core.lowering` puts the three there; whoever looks for them in a network asks here.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ModelError, QuantizationError
from amct_core.graph.attributes import DeQuant, Quant
from amct_core.graph.graph import Graph, Node, Value
from amct_core.numerics import dequant

_REMEDY = "Save the model again, or check it with 'amct lint'."


@attrs.frozen(eq=False)
class DeployedLayer:
    """One quantized layer.

    Attributes:
        quant, node, dequant: the three layers of the network.
        deq_scale: float32 ``[C]`` or ``[1]``.
        shift_n: uint8, as long as ``deq_scale``.
    """

    quant: Node
    node: Node
    dequant: Node
    deq_scale: NDArray[np.float32]
    shift_n: NDArray[np.uint8]

    @property
    def name(self) -> str:
        """The name of the integer layer."""
        return self.node.name

    @property
    def quant_scale(self) -> np.float32:
        """float32 ``1 / scale_d``."""
        return np.float32(self.quant.typed(Quant).scale)

    @property
    def offset(self) -> int:
        """offset_d, -128..127."""
        return self.quant.typed(Quant).offset

    @property
    def weights(self) -> Optional[NDArray[Any]]:
        """int8, in the framework's layout; None for a type without weights."""
        return self.node.weights[0] if self.node.weights else None

    @property
    def bias(self) -> Optional[NDArray[Any]]:
        """int32, one per output channel; None if there is none."""
        return self.node.weights[1] if len(self.node.weights) > 1 else None

    @property
    def quantized(self) -> Value:
        """The int8 tensor between Quant and layer."""
        return self.node.inputs[0]

    @property
    def accumulator(self) -> Value:
        """The int32 tensor between layer and DeQuant."""
        return self.node.outputs[0]

    @property
    def integer_blobs(self) -> Tuple[str, str]:
        """The names of both tensors."""
        return self.quantized.name, self.accumulator.name


def quantized_nodes(graph: Graph) -> List[Node]:
    """Return the layers that read a Quant, in network order, whatever reads them."""
    return [node for node in graph.nodes if _quant(graph, node) is not None]


def deployed_layers(graph: Graph) -> Dict[Node, DeployedLayer]:
    """Return the quantized layers by their integer layers, in network order.

    Raises:
        ModelError: something else than one DeQuant reads a quantized layer, a DeQuant reads
            something else, or a DeQuant has no uint64 blob.
        QuantizationError: a factor of a DeQuant is out of range.
    """
    found = {}
    for node in graph.nodes:
        quant = _quant(graph, node)
        if quant is not None:
            found[node] = _deployed(graph, quant, node)
    read = {layer.dequant for layer in found.values()}
    for node in graph.nodes:
        if isinstance(node.attributes, DeQuant) and node not in read:
            raise _error(graph, node, f"it reads {list(node.bottoms)}; expected a quantized layer.")
    return found


def _quant(graph: Graph, node: Node) -> Optional[Node]:
    """Return the Quant that ``node`` reads; None if it is no quantized layer."""
    producer = graph.producer(node.inputs[0]) if node.inputs else None
    if producer is None or not isinstance(producer.attributes, Quant):
        return None
    return None if isinstance(node.attributes, (Quant, DeQuant)) else producer


def _deployed(graph: Graph, quant: Node, node: Node) -> DeployedLayer:
    if len(node.inputs) != 1 or len(node.outputs) != 1:
        raise _error(
            graph,
            node,
            f"it reads a Quant, and has {len(node.inputs)} inputs and {len(node.outputs)} outputs; "
            "expected one each.",
        )
    readers = [use.node for value in node.outputs for use in graph.uses(value)]
    if len(readers) != 1 or not isinstance(readers[0].attributes, DeQuant):
        raise _error(
            graph,
            node,
            f"it reads a Quant, and its output is read by {[each.op for each in readers]}; "
            "expected one DeQuant.",
        )
    return DeployedLayer(quant, node, readers[0], *_factors(graph, readers[0]))


def _factors(graph: Graph, node: Node) -> Tuple[NDArray[np.float32], NDArray[np.uint8]]:
    if len(node.weights) != 1 or node.weights[0].dtype != np.uint64:
        found = [str(blob.dtype) for blob in node.weights]
        raise _error(graph, node, f"its blobs are {found}; expected one of uint64.")
    try:
        # A blob without axes holds one number, as one of a single axis does.
        deq_scale, shift_n, _ = dequant.unpack(np.atleast_1d(node.weights[0]))
    except QuantizationError as error:
        raise error.at(file=graph.file, layer=node.name) from error
    return deq_scale, shift_n


def _error(graph: Graph, node: Node, problem: str) -> ModelError:
    return ModelError(problem, file=graph.file, layer=node.name, remedy=_REMEDY)
