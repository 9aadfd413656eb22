"""Puts the tap that searches shift factor N behind each quantized layer."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.model.layer_type import loss_weights
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.passes.batch_norm_statistics import is_frozen
from amct_caffe.passes.insert_activation_qat import activation_layer_name, value_name
from amct_caffe.passes.insert_weight_qat import weight_layer_name
from amct_caffe.passes.phases import PHASES, check_same_tensor, graphs_of
from amct_caffe.passes.python_layers import fixed, python_layer, share_blobs, shared_name, shares
from amct_caffe.passes.state_rules import search_rules, set_rules
from amct_caffe.qat.parameters import ShiftParameters
from amct_caffe.qat.plan import ActivationGroup, PlannedLayer, QatPlan, planned_layers
from amct_core.graph import Node, Pass
from amct_core.graph.attributes import BatchNorm, Scale


@attrs.frozen
class InsertShiftSearch(Pass[CaffeNetwork]):
    """Insert ShiftSearch layers.

    1. Each quantized layer whose N is searched gets one, named
       ``<layer>_shift_search``, in place on its output.
    2. Behind the BatchNorm and Scale that saving will fold, before an in-place ReLU, and so before
       any reader.
    3. Its blobs are those of the layers that own them, shared by parameter name.  BatchNorm and
       Scale get such names here; a name that the user gave stays and is used.
    4. The statistics of a BatchNorm that stand still in training are blobs of its own, with those
       values: some Caffes clear the names of BatchNorm's parameters.  The BatchNorm then gets no
       names; its own specs say that they are not trained.
    5. In each phase it reads what the layer, or the last of those that will be folded, writes.  A
       network where one layer cannot do that (copies for each phase, and others between them) is
       refused.
    6. Where rules of the network speak of stages or levels, it stands only in TEST nets of the
       state that this is inserted for: a solver may test in other states, too, and N must not come
       from these.
    7. Behind an output with a loss weight it is not in place, and has no top: Caffe splits such an
       output, and takes no layer in place behind a Split.
    """

    plan: QatPlan

    def run(self, state: CaffeNetwork) -> CaffeNetwork:
        """Return the network with the layers."""
        network = state.copy()
        layers = network.document.by_name()
        rules = search_rules(network.document)
        added: Dict[str, List[Layer]] = {}
        for group in self.plan.groups:
            for planned in group.layers:
                if planned.searches_shift:
                    layer = self._layer(layers, group, planned)
                    set_rules(layer, rules)
                    added[_last_node(planned).name] = [layer]
                    if _frozen(layers, planned):
                        network.weights[layer.name] = _blobs(network, group, planned)
        network.document.insert_after(added)
        self._check_phases(network)
        return network

    def _check_phases(self, network: CaffeNetwork) -> None:
        for phase, graph in zip(PHASES, graphs_of(network)):
            for planned in planned_layers(self.plan).values():
                name = shift_search_name(planned.name)
                if name in graph:
                    last = graph.node(_last_node(planned).name)
                    value, inserted = last.outputs[0], graph.node(name)
                    check_same_tensor(graph, value, last, inserted, planned.name, phase)

    def _layer(
        self, layers: Mapping[str, Sequence[Layer]], group: ActivationGroup, planned: PlannedLayer
    ) -> Layer:
        chain = planned.chain.nodes if planned.chain is not None else ()
        specs = [
            shares(shared_name(group.name, "clip_max")),
            shares(shared_name(group.name, "clip_min")),
            shares(shared_name(group.name, "state")),
            shares(shared_name(planned.name, "scale_w")),
        ]
        frozen = _frozen(layers, planned)
        for node in chain:
            if node is frozen:
                specs += [fixed()] * len(node.weights)
                continue
            named = [share_blobs(layer, len(node.weights)) for layer in layers[node.name]]
            specs += named[0]
        specs += [shares(value_name(group, each.name)) for each in group.algorithm.blobs]
        last = _last_node(planned)
        blob = last.tops[0]
        is_split = any(any(loss_weights(layer)) for layer in layers[last.name])
        return python_layer(
            shift_search_name(planned.name),
            "ShiftSearch",
            [blob],
            [] if is_split else [blob],
            self._parameters(group, planned),
            specs,
        )

    def _parameters(self, group: ActivationGroup, planned: PlannedLayer) -> ShiftParameters:
        assert planned.output_axis is not None
        shape = planned.node.weights[0].shape
        chain = planned.chain
        batch_norm = chain.batch_norm if chain is not None else None
        scale = chain.scale if chain is not None else None
        axis = planned.scale_axis
        eps = None
        if batch_norm is not None:
            assert isinstance(batch_norm.attributes, BatchNorm)
            eps = batch_norm.attributes.eps
        has_bias = scale is not None and (
            isinstance(scale.attributes, Scale) and scale.attributes.bias_term
        )
        return ShiftParameters(
            layer=planned.name,
            search=self.plan.config.shift_n_algo,
            activation_algo=group.activation.algo,
            fixed_min=group.fixed_min,
            scale_count=1 if axis is None else shape[axis],
            channels=shape[planned.output_axis],
            batch_num=self.plan.config.batch_num,
            record_file=self.plan.record_file,
            batch_norm_eps=eps,
            folds_scale=scale is not None,
            folds_scale_bias=has_bias,
            activation_parameters=group.activation.algo_parameters,
            search_parameters=self.plan.config.shift_n_algo_parameters,
        )


def _frozen(layers: Mapping[str, Sequence[Layer]], planned: PlannedLayer) -> Optional[Node]:
    """Return the BatchNorm behind a layer whose statistics stand still, if it has such a one."""
    node = planned.chain.batch_norm if planned.chain is not None else None
    if node is None or len(node.weights) != 3 or not all(map(is_frozen, layers[node.name])):
        return None
    return node


def _blobs(
    network: CaffeNetwork, group: ActivationGroup, planned: PlannedLayer
) -> List[NDArray[np.float32]]:
    """Return all blobs of a ShiftSearch with statistics of its own.

    Caffe loads all blobs of a layer or none; those that are shared are loaded twice, with the same
    values.
    """
    assert planned.chain is not None
    activation = network.weights[activation_layer_name(group)]
    bounds, values = activation[:3], activation[3:]
    scale_w = network.weights[weight_layer_name(planned.name)][2]
    folded = [blob for node in planned.chain.nodes for blob in node.weights]
    return [np.array(blob, np.float32, ndmin=1) for blob in [*bounds, scale_w, *folded, *values]]


def shift_search_name(layer: str) -> str:
    """Return the name of the ShiftSearch of ``layer``."""
    return f"{layer}_shift_search"


def _last_node(planned: PlannedLayer) -> Node:
    """Return the layer whose output is that of the layer after folding."""
    return planned.chain.nodes[-1] if planned.chain is not None else planned.node
