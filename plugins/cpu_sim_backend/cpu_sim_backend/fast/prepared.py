"""The quantized layers of a network, each prepared at its first run."""

from __future__ import annotations

from typing import Dict

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.graph import Node
from amct_core.graph.attributes import Convolution
from amct_core.numerics import dequant
from cpu_sim_backend.fast.instructions import Instructions
from cpu_sim_backend.fast.layers import QuantizedLayer, per_channel, prepare

_NO_SHIFT = np.empty(0, np.int32)


@attrs.frozen(eq=False)
class Prepared:
    """What a quantized layer needs at every run."""

    layer: QuantizedLayer
    shift: NDArray[np.int32]
    deq_scale: NDArray[np.float32]


@attrs.frozen(eq=False)
class Layers:
    """How each layer of a network is computed.

    Attributes:
        instructions: to multiply with.
        threads: to work with.
    """

    instructions: Instructions
    threads: int
    _prepared: Dict[str, Prepared] = attrs.field(factory=dict, init=False)

    def prepared(self, node: Node, dequant_node: Node, zero: int) -> Prepared:
        """Return a quantized layer, whose input has the offset ``zero``."""
        found = self._prepared.get(node.name)
        if found is None:
            layer = prepare(node, zero, self.instructions, self.threads)
            found = self._prepared[node.name] = _with_factors(node, dequant_node, layer)
        return found


def _with_factors(node: Node, dequant_node: Node, layer: QuantizedLayer) -> Prepared:
    deq_scale, shift_n, _ = dequant.unpack(dequant_node.weights[0])
    dequant.check_shift_n(shift_n)
    channels = len(deq_scale)
    if len(node.weights) > 1:
        channels = max(channels, len(node.weights[1]))
    elif isinstance(node.attributes, Convolution):
        channels = node.attributes.num_output
    elif node.weights:
        channels = max(channels, len(node.weights[0]))
    return Prepared(
        layer,
        per_channel(shift_n, channels, np.int32) if shift_n.any() else _NO_SHIFT,
        per_channel(deq_scale, channels, np.float32),
    )
