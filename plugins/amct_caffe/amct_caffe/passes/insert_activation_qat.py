"""Puts one ActivationQAT in front of the quantized readers of each blob."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt.document import Layer, ParamSpec
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.passes.backward import passes_down
from amct_caffe.passes.phases import PHASES, check_same_tensor, graphs_of
from amct_caffe.passes.python_layers import fixed, is_python_layer, python_layer, shared_name
from amct_caffe.passes.state_rules import common_rules, set_rules
from amct_caffe.qat.bounds import BoundState, configured
from amct_caffe.qat.parameters import ActivationParameters
from amct_caffe.qat.plan import ActivationGroup, QatPlan
from amct_caffe.qat.values import first_blobs
from amct_core.errors import ModelError
from amct_core.graph import Pass
from amct_core.network_state import NetworkStates


@attrs.frozen
class InsertActivationQat(Pass[CaffeNetwork]):
    """Insert ActivationQAT layers.

    1. Each group of quantized layers that read one blob gets one ActivationQAT, named
       ``<first layer>_activation_qat`` after the first of them.
    2. It stands directly before that layer, and so behind the last in-place writer of the blob.
    3. Its top carries its own name; the group's layers read that instead, all others still read the
       blob.
    4. ``clip_max`` and ``clip_min`` learn with ``clip_lr_mult`` and never decay; ``state`` stands
       still.
    5. Bounds that the config gives go into the weights; the others are found in training.
    6. In each phase it reads the tensor that the group's layers read before.  A network where one
       layer cannot do that (the phases read different blobs) is refused.
    7. A network that has such layers already is refused.
    8. It stands in the nets in which one of the group's layers stands, as far as rules say that.
    9. The first one keeps in its parameters for which states of the nets all of this was made, the
       shapes of the network's inputs and the float32 model, for saving.
    10. One that sees the shape of an input that nobody knows yet (``seen_inputs``, blobs by group)
        is told to record it.
    11. ``propagate_down: false`` of the group's layers moves to it.  In those it would keep Caffe
        from running its backward pass and that of the WeightQAT, and nothing would be learned.
    12. What its algorithm learns or keeps beside the bounds are further blobs.  The learned ones
        have the algorithm's own multipliers, times ``clip_lr_mult``; the others stand still.
    """

    plan: QatPlan
    input_shapes: Optional[Mapping[str, Tuple[int, ...]]] = None
    seen_inputs: Mapping[str, str] = attrs.field(factory=dict)
    float_model: Optional[Mapping[str, Mapping[str, Any]]] = None

    def requires(self, state: CaffeNetwork) -> None:
        """Raise a ModelError if ``state`` is a modified model already."""
        for layer in state.document.layers:
            if is_python_layer(layer, "ActivationQAT"):
                raise ModelError(
                    "it is an ActivationQAT, so this is a modified model already; expected the "
                    "original model.",
                    file=state.model_file,
                    layer=layer.name,
                    field="type",
                    remedy="Give the original model and its weights.",
                )

    def run(self, state: CaffeNetwork) -> CaffeNetwork:
        """Return the network with the layers and their blobs."""
        network = state.copy()
        layers = network.document.by_name()
        in_training = {id(layer) for layer in network.document.layers_in("TRAIN")}
        added: Dict[str, List[Layer]] = {}
        for group in self.plan.groups:
            states = state.document.states if not added else NetworkStates()
            layer = self._layer(group, states)
            readers = [each for planned in group.layers for each in layers[planned.name]]
            set_rules(layer, common_rules(readers))
            trained = [each for each in readers if id(each) in in_training]
            _move_propagate_down(trained, layer, network.model_file)
            for planned in group.layers:
                for reader in layers[planned.name]:
                    reader.bottoms = [layer.tops[0], *reader.bottoms[1:]]
            added[group.name] = [layer]
            network.weights[layer.name] = self._blobs(group)
        network.document.insert_before(added)
        self._check_phases(state, network)
        return network

    def _check_phases(self, state: CaffeNetwork, network: CaffeNetwork) -> None:
        for phase, before, after in zip(PHASES, graphs_of(state), graphs_of(network)):
            for group in self.plan.groups:
                inserted = after.node(activation_layer_name(group))
                for planned in group.layers:
                    value = before.node(planned.name).inputs[0]
                    producer = before.producer(value)
                    check_same_tensor(after, value, producer, inserted, planned.name, phase)
                    top, reader = inserted.outputs[0], after.node(planned.name)
                    check_same_tensor(after, top, inserted, reader, planned.name, phase)

    def _layer(self, group: ActivationGroup, states: NetworkStates) -> Layer:
        name = activation_layer_name(group)
        activation = group.activation
        return python_layer(
            name,
            "ActivationQAT",
            [group.value.name],
            [name],
            ActivationParameters(
                layers=[planned.name for planned in group.layers],
                algo=activation.algo,
                init_algo=None if activation.clip_max is not None else activation.init_algo,
                batch_num=self.plan.config.batch_num,
                fixed_min=group.fixed_min,
                record_file=self.plan.record_file,
                train_state=states.train if states.train.is_given else None,
                test_state=states.test if states.test.is_given else None,
                input_shapes=self.input_shapes if group is self.plan.groups[0] else None,
                sees_input=self.seen_inputs.get(group.name),
                float_model=self.float_model if group is self.plan.groups[0] else None,
                algo_parameters=activation.algo_parameters,
                init_algo_parameters=(
                    None if activation.clip_max is not None else activation.init_algo_parameters
                ),
            ),
            [
                ParamSpec(shared_name(group.name, "clip_max"), activation.clip_lr_mult, 0.0),
                ParamSpec(shared_name(group.name, "clip_min"), activation.clip_lr_mult, 0.0),
                fixed(shared_name(group.name, "state")),
                *_value_specs(group),
            ],
        )

    def _blobs(self, group: ActivationGroup) -> List[NDArray[np.float32]]:
        activation = group.activation
        bounds = BoundState(0.0, 0.0)
        if activation.clip_max is not None and activation.clip_min is not None:
            bounds = configured(activation.clip_max, activation.clip_min)
        own = [np.array(contents, np.float32, ndmin=1) for contents in bounds.to_blobs()]
        return [*own, *first_blobs(group.algorithm)]


def _value_specs(group: ActivationGroup) -> List[ParamSpec]:
    """Return the specs of what the algorithm learns or keeps beside the bounds."""
    lr_mult, algorithm = group.activation.clip_lr_mult, group.algorithm
    learned = [
        ParamSpec(value_name(group, each.name), lr_mult * each.lr_mult, each.decay_mult)
        for each in algorithm.learned
    ]
    return [*learned, *(fixed(value_name(group, each.name)) for each in algorithm.state)]


def value_name(group: ActivationGroup, name: str) -> str:
    """Return the parameter name by which a learned parameter, or state, is shared."""
    return shared_name(group.name, f"algo/{name}")


def _move_propagate_down(readers: List[Layer], layer: Layer, file: Optional[str]) -> None:
    """Let ``layer`` pass no gradient down if its readers do not.

    Raises:
        ModelError: some do, and some do not.
    """
    silent = [reader for reader in readers if not all(passes_down(reader))]
    if not silent:
        return
    if len(silent) < len(readers):
        other = next(reader for reader in readers if reader not in silent)
        raise ModelError(
            f"it is false, and '{other.name}', which reads the same blob and is quantized with it, "
            "passes gradients down; expected the same of both.",
            file=file,
            layer=silent[0].name,
            field="propagate_down",
            remedy="Write the same in both layers, or disable one of them in the config "
            "(retrain_enable: false).",
        )
    for reader in silent:
        reader.message.remove("propagate_down")
    layer.message.add("propagate_down", False)


def activation_layer_name(group: ActivationGroup) -> str:
    """Return the name of the ActivationQAT of ``group``."""
    return f"{group.name}_activation_qat"
