"""Reads what training has learned out of the modified model and a snapshot of it."""

from __future__ import annotations

import math
import os
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.model.input_shapes import batch_size
from amct_caffe.model.network import CaffeNetwork, read_network
from amct_caffe.model.to_graph import to_graph
from amct_caffe.passes.insert_weight_qat import weight_layer_name
from amct_caffe.passes.inserted import InsertedLayers, read_inserted
from amct_caffe.passes.keep_test_net import KeepTestNet
from amct_caffe.passes.net_states import require_same_layers
from amct_caffe.passes.of_plugins import plugin_passes
from amct_caffe.passes.remove_qat import RemoveQat
from amct_caffe.qat.bounds import STATE_SIZE, BoundState
from amct_caffe.qat.parameters import ActivationParameters, WeightParameters
from amct_caffe.qat.values import values_of
from amct_core.errors import FileFormatError, ModelError, TrainingError
from amct_core.extensions import ActivationAlgorithm
from amct_core.extensions.network_pass import AFTER_TRAINING
from amct_core.float_model import FloatModel
from amct_core.graph import Graph, Pass, run_passes
from amct_core.network_state import NetworkStates
from amct_core.plugins import registries
from amct_core.retrained import RetrainedLayer, RetrainedNetwork, ShapeRecord


def read_retrained_network(
    model_file: str, weights_file: str, states: Optional[NetworkStates] = None
) -> RetrainedNetwork:
    """Return what training has learned.

    The graph is that of the TEST net which the modified model was made for.  Its layers have no
    rules that speak of stages or levels: they are those that the rules have chosen.

    Args:
        model_file: the modified model.
        weights_file: a snapshot of it.
        states: what the solver said of the states of its nets; None: what was said at insertion.

    Raises:
        ModelError: this is not a modified model, or the snapshot is not one of it, or it was made
            for other ``states``.
        TrainingError: the snapshot is from before the end of initialisation.
    """
    document = documents.read(model_file)
    qat = read_inserted(document)
    document.states = qat.states
    if states is not None:
        require_same_layers(document, states)
    network = read_network(model_file, weights_file, qat.states)
    learned: Dict[str, RetrainedLayer] = {}
    for layer, parameters in qat.activations:
        algorithm = registries().activation_algorithms.get(parameters.algo)
        bounds = _bounds(network, layer, parameters, algorithm).repaired(parameters.fixed_min)
        values = values_of(algorithm, network.weights[layer.name][3:], layer.name)
        for name in parameters.layers:
            weights = qat.weights.get(name)
            learned[name] = RetrainedLayer(
                name=name,
                clip_max=bounds.clip_max,
                clip_min=bounds.clip_min,
                fixed_min=parameters.fixed_min,
                activation_algorithm=parameters.algo,
                weight_algorithm=weights.algo if weights is not None else None,
                channel_wise=weights is not None and weights.channel_wise,
                folded=weights.folded if weights is not None else (),
                activation_parameters=parameters.algo_parameters or {},
                weight_parameters=(weights.algo_parameters if weights is not None else None) or {},
                values=values,
                learned_scales=_learned_scales(network, weights),
            )
    passes: List[Pass[CaffeNetwork]] = [
        RemoveQat(),
        KeepTestNet(),
        *plugin_passes(AFTER_TRAINING, learned),
    ]
    graph = to_graph(run_passes(network, passes), "TEST")
    return RetrainedNetwork(
        graph=graph,
        layers=tuple(learned[node.name] for node in graph.nodes if node.name in learned),
        shift_n_algo=qat.shift_n_algo,
        record_file=qat.activations[0][1].record_file,
        weights_file=str(network.weights_file),
        input_shapes=_input_shapes(qat.activations),
        shape_records=_shape_records(qat, graph),
        float_model=_float_model(qat.activations, model_file),
    )


def _input_shapes(
    activations: Sequence[Tuple[Layer, ActivationParameters]],
) -> Dict[str, Tuple[int, ...]]:
    shapes: Dict[str, Tuple[int, ...]] = {}
    for _, parameters in activations:
        shapes.update(parameters.input_shapes or {})
    return shapes


def _float_model(
    activations: Sequence[Tuple[Layer, ActivationParameters]], model_file: str
) -> Optional[FloatModel]:
    for layer, parameters in activations:
        if parameters.float_model is not None:
            try:
                return FloatModel.from_json(parameters.float_model, os.path.dirname(model_file))
            except ValueError as error:
                raise FileFormatError(
                    f"its float_model cannot be read: {error}.",
                    file=model_file,
                    layer=layer.name,
                    field="python_param.param_str",
                    remedy="Insert the layers again with create_quant_retrain_model.",
                ) from error
    return None


def _shape_records(qat: InsertedLayers, graph: Graph) -> Tuple[ShapeRecord, ...]:
    entries = {
        parameters.sees_input: parameters.layers[0]
        for _, parameters in qat.activations
        if parameters.sees_input is not None
    }
    entries.update({each.blob: each.entry for each in qat.recorders})
    layers = [node.source for node in graph.nodes]
    return tuple(
        ShapeRecord(blob, entry, batch_size(layers, blob)) for blob, entry in entries.items()
    )


def _learned_scales(
    network: CaffeNetwork, parameters: Optional[WeightParameters]
) -> Optional[NDArray[np.float32]]:
    """Return the weight scales of a snapshot, where the algorithm learns them."""
    if parameters is None:
        return None
    if not registries().weight_algorithms.get(parameters.algo).learns_scales:
        return None
    name = weight_layer_name(parameters.layer)
    blobs = network.weights.get(name, [])
    if len(blobs) < 3 or blobs[2].size != parameters.scale_count:
        raise ModelError(
            f"the weights file does not have its {parameters.scale_count} learned scales.",
            file=network.weights_file,
            layer=name,
            remedy="Give a snapshot of the modified model, such as solver_iter_1000.caffemodel.",
        )
    return np.asarray(blobs[2], np.float32).reshape(-1)


def _bounds(
    network: CaffeNetwork,
    layer: Layer,
    parameters: ActivationParameters,
    algorithm: ActivationAlgorithm,
) -> BoundState:
    blobs = network.weights.get(layer.name)
    names = ["clip_max", "clip_min", "state", *(blob.name for blob in algorithm.blobs)]
    sizes = [1, 1, STATE_SIZE, *(math.prod(blob.shape) for blob in algorithm.blobs)]
    if blobs is None or len(blobs) != len(names):
        raise ModelError(
            f"the weights file has {0 if blobs is None else len(blobs)} blobs for it; expected "
            f"{len(names)} ({', '.join(names)}).",
            file=network.weights_file,
            layer=layer.name,
            remedy="Give a snapshot of the modified model, such as solver_iter_1000.caffemodel.",
        )
    if [blob.size for blob in blobs] != sizes or not math.isfinite(blobs[2].flat[0]):
        raise ModelError(
            f"its blobs have {[blob.size for blob in blobs]} numbers, or do not count its "
            f"iterations; expected {sizes}.",
            file=network.weights_file,
            layer=layer.name,
            remedy="Give a snapshot of the modified model.",
        )
    state = BoundState.from_blobs(*(blob.reshape(-1) for blob in blobs[:3]))
    if not state.bounds_set or state.forwards < parameters.batch_num:
        raise TrainingError(
            f"it has no learned clip bounds: {state.forwards} training iterations have run, and "
            f"batch_num is {parameters.batch_num}.",
            file=network.weights_file,
            layer=", ".join(parameters.layers),
            remedy=(
                "Give the last snapshot of the training (retrained_weights_file is not the "
                "modified_weights_file that training starts from), and train for at least "
                "batch_num iterations."
            ),
        )
    return state
