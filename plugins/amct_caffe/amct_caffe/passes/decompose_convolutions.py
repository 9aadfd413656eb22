"""Replaces convolutions by two of lower rank."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence, Set, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.model.integer_layer import set_bias_term
from amct_caffe.model.layer_type import attributes_of
from amct_caffe.model.network import CaffeNetwork
from amct_core.graph import Pass
from amct_core.graph.attributes import Convolution
from amct_core.textproto import Message

_PARAMETERS = "convolution_param"
_SIZES = ("kernel_size", "kernel_h", "kernel_w", "stride", "stride_h", "stride_w")
_PADS = ("pad", "pad_h", "pad_w")
_DILATION = "dilation"

Kernels = Tuple[NDArray[np.float32], NDArray[np.float32]]
"""``[rank, C, kh, 1]`` and ``[O, rank, 1, kw]``."""


@attrs.frozen(eq=False)
class DecomposeConvolutions(Pass[CaffeNetwork]):
    """Replace convolutions by two.

    1. Each layer in ``kernels``, wherever training or testing has it, becomes one of kh x 1 and,
       behind it, one of 1 x kw.  The first pads and strides over rows, the second over columns:
       padding is 0, and what a row of it gives is 0, too, so the order does not matter.
    2. The first reads what the layer read; the second writes the blob that it wrote, and has its
       bias.
    3. What the solver is told about the weights holds for both.

    Attributes:
        kernels: of the two layers, by layer; each has 4-D weights, no groups, no dilation.
        names: those of the two layers, by layer; the blob in between is called like the first.
    """

    kernels: Mapping[str, Kernels]
    names: Mapping[str, Sequence[str]]

    def run(self, state: CaffeNetwork) -> CaffeNetwork:
        """Return the network with the replacements."""
        network = state.copy()
        used = {id(layer) for layer in network.document.used_layers()}
        layers: List[Layer] = []
        for layer in network.document.layers:
            own = self.kernels.get(layer.name) if id(layer) in used else None
            layers += [layer] if own is None else _halves(layer, own, self.names[layer.name])
        network.document.layers = layers
        for name, (first, second) in self.kernels.items():
            bias = network.weights.pop(name)[1:]
            one, two = self.names[name]
            network.weights[one] = [first]
            network.weights[two] = [second, *bias]
        return network


def free_names(network: CaffeNetwork, names: Sequence[str]) -> Dict[str, Tuple[str, str]]:
    """Return what the two layers for each of ``names`` are called: ``NAME_0`` and ``NAME_1``.

    Where a layer or blob is called so already, numbers go on until two are free.
    """
    taken: Set[str] = set()
    for layer in network.document.layers:
        taken.update((layer.name, *layer.tops))
    found = {}
    for name in names:
        number = 0
        while {f"{name}_{number}", f"{name}_{number + 1}"} & taken:
            number += 1
        found[name] = (f"{name}_{number}", f"{name}_{number + 1}")
        taken.update(found[name])
    return found


def _halves(layer: Layer, kernels: Kernels, names: Sequence[str]) -> List[Layer]:
    a = attributes_of(layer)
    assert isinstance(a, Convolution)
    first, second = layer.copy(), layer.copy()
    first.message.set("name", names[0])
    second.message.set("name", names[1])
    first.tops = [names[0]]
    second.bottoms = [names[0]]
    # Of one top, and of one bottom: those of the layer that was.
    first.message.remove("loss_weight")
    second.message.remove("propagate_down")
    first.param_specs = first.param_specs[:1]
    _set_sizes(first, 0, a, len(kernels[0]))
    _set_sizes(second, 1, a, a.num_output)
    parameters = first.message.message(_PARAMETERS)
    if parameters is not None:
        parameters.remove("bias_filler")
    set_bias_term(first, False)
    return [first, second]


def _set_sizes(layer: Layer, axis: int, a: Convolution, outputs: int) -> None:
    """Let ``layer`` work along ``axis`` (0: rows, 1: columns) alone."""
    parameters = layer.message.message(_PARAMETERS)
    assert isinstance(parameters, Message)
    for field in (*_SIZES, *_PADS, _DILATION):
        parameters.remove(field)
    parameters.set("num_output", outputs)
    for field, values, neutral in (("kernel", a.kernel, 1), ("pad", a.pad, 0)):
        _set_pair(parameters, field, axis, values, neutral)
    _set_pair(parameters, "stride", axis, a.stride, 1)


def _set_pair(
    parameters: Message, field: str, axis: int, values: Sequence[int], neutral: int
) -> None:
    pair = [neutral, neutral]
    pair[axis] = values[axis]
    for side, value in zip("hw", pair):
        parameters.set(f"{field}_{side}", value)
