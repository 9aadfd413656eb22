"""Takes the QAT layers out of a trained network again."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence, Set

from amct_caffe.model.formats.prototxt.document import Layer, ParamSpec
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.passes.backward import passes_down
from amct_caffe.passes.python_layers import is_python_layer, param_str
from amct_caffe.qat.parameters import WeightParameters, from_param_str
from amct_core.errors import ModelError
from amct_core.graph import Pass

KINDS = ("ActivationQAT", "WeightQAT", "ShiftSearch", "InputShape")
"""The layers that insertion adds."""


class RemoveQat(Pass[CaffeNetwork]):
    """Undo the insertion.

    1. ActivationQAT, WeightQAT, ShiftSearch and InputShape layers go.
    2. Who read an ActivationQAT's top reads its bottom again, and passes no gradient down if that
       did not.
    3. A layer that a WeightQAT belonged to gets the master weights and their multipliers and name,
       and no specs if it had none.
    4. Parameter names that insertion gave to BatchNorm and Scale stay: nobody shares them any more.

    The layers are those that :func:`amct_caffe.passes.inserted.read_inserted` has checked.
    """

    def run(self, state: CaffeNetwork) -> CaffeNetwork:
        """Return the network without QAT layers, with float32 master weights."""
        network = state.copy()
        document = network.document
        layers = document.by_name()
        sources: Dict[str, str] = {}
        silent: Set[str] = set()
        for layer in document.layers:
            if is_python_layer(layer, "ActivationQAT"):
                sources[layer.tops[0]] = layer.bottoms[0]
                if not all(passes_down(layer)):
                    silent.add(layer.tops[0])
            elif is_python_layer(layer, "WeightQAT"):
                self._restore_weights(network, layers, layer)
        kept: List[Layer] = []
        for layer in document.layers:
            if any(is_python_layer(layer, kind) for kind in KINDS):
                network.weights.pop(layer.name, None)
                continue
            if silent.intersection(layer.bottoms):
                layer.message.add("propagate_down", False)
            if any(bottom in sources for bottom in layer.bottoms):
                layer.bottoms = [sources.get(bottom, bottom) for bottom in layer.bottoms]
            kept.append(layer)
        document.layers = kept
        return network

    def _restore_weights(
        self, network: CaffeNetwork, layers: Mapping[str, Sequence[Layer]], weight_qat: Layer
    ) -> None:
        parameters = from_param_str(WeightParameters, param_str(weight_qat), weight_qat.name)
        name = parameters.layer
        for each in (weight_qat.name, name):
            if not network.weights.get(each):
                raise ModelError(
                    "the weights file has no blobs for it.",
                    file=network.weights_file,
                    layer=each,
                    remedy="Give a snapshot of the modified model, such as solver_iter_1000."
                    "caffemodel.",
                )
        master = network.weights[weight_qat.name][0]
        network.weights[name] = [master, *network.weights[name][1:]]
        own = (*weight_qat.param_specs, ParamSpec())[0]
        for layer in layers[name]:
            specs = [own, *layer.param_specs[1:]]
            layer.param_specs = specs if len(specs) > 1 or specs[0].to_message().entries else []
