"""The quantized layers of a network, each prepared at its first run."""

from __future__ import annotations

from typing import Dict

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.graph.attributes import Convolution
from amct_core.graph.deployed_layers import DeployedLayer
from amct_core.numerics import dequant
from cpu_sim_backend.fast.device import DeviceDequant, device_dequant
from cpu_sim_backend.fast.instructions import Instructions
from cpu_sim_backend.fast.layers import LayerKernel, per_channel, prepare

_NO_SHIFT = np.empty(0, np.int32)


@attrs.frozen(eq=False)
class Prepared:
    """What a quantized layer needs at every run."""

    kernel: LayerKernel
    shift: NDArray[np.int32]
    deq_scale: NDArray[np.float32]
    as_device: DeviceDequant


@attrs.frozen(eq=False)
class PreparedLayers:
    """The layers of a network, each prepared once.

    Attributes:
        instructions: to multiply with.
        threads: to work with.
    """

    instructions: Instructions
    threads: int
    _prepared: Dict[str, Prepared] = attrs.field(factory=dict, init=False)

    def prepared(self, layer: DeployedLayer) -> Prepared:
        """Return what ``layer`` needs."""
        found = self._prepared.get(layer.name)
        if found is None:
            kernel = prepare(layer, self.instructions, self.threads)
            found = self._prepared[layer.name] = _with_factors(layer, kernel)
        return found


def _with_factors(layer: DeployedLayer, kernel: LayerKernel) -> Prepared:
    dequant.check_shift_n(layer.shift_n)
    channels, a = len(layer.deq_scale), layer.node.attributes
    if layer.bias is not None:
        channels = max(channels, len(layer.bias))
    elif isinstance(a, Convolution):
        channels = a.num_output
    elif layer.weights is not None:
        channels = max(channels, len(layer.weights))
    return Prepared(
        kernel,
        per_channel(layer.shift_n, channels, np.int32) if layer.shift_n.any() else _NO_SHIFT,
        per_channel(layer.deq_scale, channels, np.float32),
        device_dequant(layer, channels),
    )
