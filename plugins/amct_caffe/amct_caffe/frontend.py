"""Caffe as a frontend: files in, graphs out, and the other way round."""

from __future__ import annotations

import logging
import os
from typing import IO, Any, Iterable, List, Mapping, Optional, Sequence, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe import executors
from amct_caffe.checks.calibration import check_calibration, check_classes
from amct_caffe.checks.file_sizes import Insertion
from amct_caffe.checks.network import require_insertable, require_quantizable
from amct_caffe.checks.quantized_models import require_float_model
from amct_caffe.model import saved_set
from amct_caffe.model.data_layers import check_files, image_transform, own_data_layers
from amct_caffe.model.deployed import deployed_network
from amct_caffe.model.formats.caffemodel import writer as caffemodel
from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt import solver as solvers
from amct_caffe.model.inference_network import (
    has_training_layers,
    inference_network,
    require_shapes,
)
from amct_caffe.model.input_shapes import InputShapes, batch_size, input_shapes
from amct_caffe.model.layer_type import attributes_of
from amct_caffe.model.network import CaffeNetwork, read_network
from amct_caffe.model.to_graph import to_graph
from amct_caffe.model.to_inference import data_blobs
from amct_caffe.passes.backward import warn_of_obstacles
from amct_caffe.passes.batch_norm_statistics import FixBatchNormStatistics, is_frozen
from amct_caffe.passes.fold_batch_norm import FoldBatchNorm
from amct_caffe.passes.free_batch_size import FreeBatchSize
from amct_caffe.passes.freeze_batch_norm import FreezeBatchNorm
from amct_caffe.passes.insert_activation_qat import InsertActivationQat
from amct_caffe.passes.insert_calibration import calibration_network, rebuilt
from amct_caffe.passes.insert_input_shape import InsertInputShape, shape_recording
from amct_caffe.passes.insert_shift_search import InsertShiftSearch
from amct_caffe.passes.insert_weight_qat import InsertWeightQat
from amct_caffe.passes.net_states import advice, advice_of_testing, require_trained_weights
from amct_caffe.passes.of_plugins import plugin_passes
from amct_caffe.passes.python_layers import is_python_layer
from amct_caffe.passes.structure import check_bottoms, check_structure
from amct_caffe.qat.dead import warn_of_missing_variance, warn_of_narrow_bounds
from amct_caffe.qat.plan import QatPlan, make_plan
from amct_caffe.runtime import caffe_log
from amct_caffe.runtime.batch_norm_training import reason_to_freeze
from amct_caffe.runtime.installed import caffe_is_installed
from amct_caffe.saving.as_fed import as_fed
from amct_caffe.saving.fake_quant import render_fake_quant
from amct_caffe.saving.quantized_layers import quantized_layers
from amct_caffe.saving.retrained import read_retrained_network
from amct_core import record as records
from amct_core.extensions.capability import Capability
from amct_core.extensions.fault import Fault
from amct_core.extensions.frontend import (
    Executor,
    Frontend,
    ImageTransform,
    InsertionRequest,
    NetworkData,
    NetworkViews,
)
from amct_core.extensions.network_pass import BEFORE_INSERTION
from amct_core.file_names import fake_quant_files
from amct_core.files import FileSet
from amct_core.float_model import FloatModel
from amct_core.graph import Graph, Pass, run_passes
from amct_core.graph.attributes import BatchNorm
from amct_core.graph.input_shapes import check_weights_fit
from amct_core.network_state import NetworkState, NetworkStates
from amct_core.plugins import registries
from amct_core.ptq.plan import CalibrationPlan
from amct_core.quantized_model import QuantizedModel
from amct_core.record import LayerRecord, Record
from amct_core.retrained import RetrainedNetwork
from amct_core.textproto import Message

_log = logging.getLogger("amct_caffe.frontend")


class CaffeFrontend(Frontend):
    """Reads, rewrites and runs Caffe models."""

    name = "caffe"
    runs_modules_of_users = True

    def recognises(self, model_file: str) -> bool:
        """Return whether the file is called ``*.prototxt`` (or ``.pt``, ``.pbtxt``)."""
        return model_file.endswith((".prototxt", ".pt", ".pbtxt"))

    def read(
        self,
        model_file: str,
        weights_file: Optional[str] = None,
        states: Optional[NetworkStates] = None,
    ) -> NetworkViews:
        """Read a network as it is in training and in testing."""
        network = read_network(model_file, weights_file, states)
        views = views_of(network)
        check_bottoms([views.train, views.test], advice(network.document))
        return views

    def read_for_inference(
        self, model_file: str, weights_file: Optional[str] = None
    ) -> NetworkViews:
        """Read a network as it is in testing, for both views."""
        network = read_network(model_file, weights_file)
        views = views_of(network)
        check_bottoms([views.test], advice_of_testing(network.document))
        return attrs.evolve(views, train=views.test)

    def read_float(self, model_file: str, weights_file: str) -> Graph:
        """Read a network in float32; of a modified model, with the weights of a snapshot."""
        layers = documents.read(model_file).layers
        if any(is_python_layer(layer, "ActivationQAT") for layer in layers):
            return read_retrained_network(model_file, weights_file).graph
        return self.read_for_inference(model_file, weights_file).test

    def read_deployed(self, model_file: str, weights_file: Optional[str] = None) -> Graph:
        """Read a deployable network; data, loss and accuracy layers are taken out in memory."""
        network, is_rewritten = _for_inference(read_network(model_file, weights_file))
        if is_rewritten:
            require_shapes(network)
        graph = to_graph(network, "TEST")
        check_bottoms([graph], advice(network.document))
        return graph

    def read_inference(
        self, model_file: str, weights_file: str, test_state: Optional[NetworkState] = None
    ) -> Graph:
        """Read a network in its TEST phase, less data, loss and accuracy layers."""
        states = NetworkStates(test=test_state or NetworkState())
        network, _ = _for_inference(read_network(model_file, weights_file, states))
        graph = to_graph(network, "TEST")
        check_bottoms([graph], advice_of_testing(network.document))
        return graph

    def check_saved_set(self, model_file: str, weights_file: str) -> None:
        """Raise a ModelError if the digests that saving has kept are of other files."""
        saved_set.check_saved_set(documents.read(model_file).layers, model_file, weights_file)

    def check(self, views: NetworkViews) -> None:
        """Raise a ModelError if the network cannot be quantized, whatever the config says."""
        require_quantizable(views)

    def check_float(self, model_file: str, weights_file: str, remedy: str) -> None:
        """Raise a ModelError if a layer, or the weights, are those of a quantized model."""
        require_float_model(model_file, weights_file, remedy)

    def states_of(self, solver_file: str) -> NetworkStates:
        """Read ``train_state`` and the first ``test_state`` of a solver."""
        return solvers.read(solver_file).states

    def insert(self, request: InsertionRequest) -> None:
        """Write the modified model, its weights and a record without factors."""
        views = request.views
        _log_deployed(views.test)
        warn_of_missing_variance(views.test)
        before = plugin_passes(BEFORE_INSERTION, request.config.enabled)
        if before:
            views = views_of(run_passes(views.source, before))
        if request.config.batch_norm == "fold":
            fold = FoldBatchNorm(tuple(request.config.enabled))
            views = views_of(run_passes(views.source, [fold]))
        shapes = _input_shapes(request, views)
        views = views_of(
            run_passes(views.source, [FreeBatchSize(shapes.trained, shapes.uncertain)])
        )
        check_weights_fit(views.test, shapes.known)
        network: CaffeNetwork = views.source
        require_trained_weights(network.document)
        plugins = registries()
        plan = make_plan(
            views,
            request.config,
            request.config_file,
            request.record_file,
            plugins.shift_searches.get(request.config.shift_n_algo),
        )
        warn_of_narrow_bounds(plan)
        require_insertable(Insertion(network, plan))
        recording = shape_recording(views.test, plan, shapes.unknown)
        passes: List[Pass[CaffeNetwork]] = [
            *_batch_norm_passes(network),
            InsertActivationQat(
                plan, shapes.known or None, recording.by_group, _float_model(network, request)
            ),
            InsertWeightQat(plan, plugins.weight_algorithms),
            InsertShiftSearch(plan),
            InsertInputShape(recording.entries, request.record_file),
        ]
        network = run_passes(network, passes)
        for graph in (to_graph(network, "TRAIN"), to_graph(network, "TEST")):
            check_structure(graph)
        quantized = [layer.name for group in plan.groups for layer in group.layers]
        warn_of_obstacles(network.document.layers_in("TRAIN"), quantized)
        with FileSet() as files:
            files.add(request.modified_model_file, network.document.format())
            with files.open(request.modified_weights_file) as stream:
                _write_weights(stream, network)
            files.add(
                request.record_file, records.format(_empty_record(views, plan, recording.entries))
            )

    def read_retrained(
        self, model_file: str, weights_file: str, states: Optional[NetworkStates] = None
    ) -> RetrainedNetwork:
        """Read what training has learned, from the modified model and a snapshot of it."""
        return read_retrained_network(model_file, weights_file, states)

    def write_fake_quant(self, model: QuantizedModel, save_path: str, files: FileSet) -> None:
        """Stage the fake-quant model and its weights."""
        rendered = render_fake_quant(model)
        document = documents.NetDocument(fields_of(model.graph), list(rendered.layers))
        names = fake_quant_files(save_path)
        deployed = deployed_network(rendered.layers)
        model.check_kept({layer.name for layer in deployed.layers}, names.model)
        files.add(names.model, document.format())
        with files.open(names.weights) as stream:
            caffemodel.write(stream, document.name, rendered.weighted_layers_in_float32())

    def without_training_layers(self, model: QuantizedModel) -> QuantizedModel:
        """Take data, loss and accuracy layers out, as they are for ATC."""
        return as_fed(model)

    def rebuilt(self, graph: Graph) -> Graph:
        """Return ``graph`` with layers that say what its nodes do."""
        return rebuilt(graph)

    def write_calibration(
        self, plan: CalibrationPlan, model_file: str, weights_file: str, files: FileSet
    ) -> None:
        """Stage the model that is calibrated, and its weights."""
        write_network(calibration_network(plan), model_file, weights_file, files)

    def runs_here(self) -> bool:
        """Return whether pycaffe is installed."""
        return caffe_is_installed()

    def check_calibration(self, graph: Graph) -> None:
        """Raise if Caffe cannot run the network: files, classes or layer types are missing."""
        check_calibration([node.source for node in graph.nodes], str(graph.file))

    def run_calibration(
        self,
        model_file: str,
        weights_file: str,
        count: int,
        batches: Optional[Iterable[Mapping[str, NDArray[np.float32]]]] = None,
    ) -> Mapping[str, Tuple[int, ...]]:
        """Run a model that is calibrated in Caffe."""
        from amct_caffe.runtime.calibration_run import run

        return run(model_file, weights_file, count, batches)

    def input_shapes(self, graph: Graph) -> Mapping[str, Sequence[int]]:
        """Return the shapes of the inputs, as far as they are known without Caffe."""
        layers = [node.source for node in graph.nodes]
        found = input_shapes(layers, graph, {})
        return {
            blob: (batch_size(layers, blob),) if shape is None else shape
            for blob, shape in found.deployed.items()
        }

    def fake_quant_executor(self, save_path: str) -> Executor:
        """Load the saved fake-quant model, with inputs in place of its data layers."""
        return executors.fake_quant_executor(save_path)

    def executor(
        self, model_file: str, weights_file: str, test_state: Optional[NetworkState] = None
    ) -> Executor:
        """Load any network in its TEST phase, with inputs in place of its data layers."""
        return executors.executor(model_file, weights_file, test_state)

    def retrained_executor(self, model_file: str, weights_file: str) -> Executor:
        """Load a modified model as it is tested in training; its record stays as it is."""
        return executors.retrained_executor(model_file, weights_file)

    def float_model(self, save_path: str) -> Optional[FloatModel]:
        """Return what ``<save_path>_quant.json`` says of the float32 model."""
        return saved_set.float_model_of(save_path)

    def made_from(self, save_path: str) -> Optional[FloatModel]:
        """Return what ``<save_path>_quant.json`` says of the files that were saved from."""
        return saved_set.made_from(save_path)

    def fake_quant_layers(self, save_path: str) -> Optional[Sequence[str]]:
        """Return the quantized layers of the saved fake-quant model, in network order."""
        return quantized_layers(documents.read(fake_quant_files(save_path).model))

    def network_data(self, save_path: str, others: Sequence[str] = ()) -> NetworkData:
        """Load the TEST data layers of the saved fake-quant model; they run without the rest."""
        from amct_caffe.runtime.network_data import CaffeNetworkData

        model_file = fake_quant_files(save_path).model
        document = documents.read(model_file)
        layers = own_data_layers(document, others)
        check_files(layers, model_file)
        check_classes(layers, model_file)
        text = documents.NetDocument.create(document.name, layers).format()
        blobs = [*data_blobs(document.layers_in("TEST")), *others]
        return CaffeNetworkData(text, list(dict.fromkeys(blobs)))

    def image_transform(self, save_path: str, blob: Optional[str] = None) -> ImageTransform:
        """Read the ``transform_param`` of a TEST data layer of the saved fake-quant model."""
        return image_transform(documents.read(fake_quant_files(save_path).model), blob)

    def fault(self, log: str) -> Optional[Fault]:
        """Return what Caffe said before it ended its process."""
        return caffe_log.fault(log)

    def capabilities(self) -> Sequence[Capability]:
        """Ask the Caffe that is installed, in processes of their own."""
        from amct_caffe.runtime.capabilities.asking import capabilities

        return tuple(capabilities().values())


def _for_inference(network: CaffeNetwork) -> Tuple[CaffeNetwork, bool]:
    """Return the network less what only training and testing need, and whether that was any."""
    if not has_training_layers(network.document.layers_in("TEST")):
        return network, False
    return inference_network(network), True


def views_of(network: CaffeNetwork) -> NetworkViews:
    """Return the network as it is in training and in testing."""
    test = to_graph(network, "TEST")
    deployed = deployed_network([node.source for node in test.nodes])
    return NetworkViews(
        train=to_graph(network, "TRAIN"),
        test=test,
        source=network,
        deployed=frozenset(layer.name for layer in deployed.layers),
    )


def _log_deployed(test: Graph) -> None:
    """Say what of the network will be deployed, while it can still be changed."""
    layers = [node.source for node in test.nodes]
    deployed = deployed_network(layers)
    kept = {layer.name for layer in deployed.layers}
    gone = [*deployed.unused, *(layer.name for layer in layers if layer.name not in kept)]
    _log.info(
        "deployed: inputs %s, outputs %s%s",
        ", ".join(map(repr, deployed.inputs)),
        ", ".join(map(repr, deployed.outputs)),
        f"; not deployed: {', '.join(map(repr, gone))}" if gone else "",
    )


def fields_of(graph: Graph) -> Message:
    """Return what the file of a network says beside its layers, such as ``state``."""
    if isinstance(graph.source, Message):
        return graph.source.copy()
    fields = Message()
    fields.set("name", graph.name)
    return fields


def _batch_norm_passes(network: CaffeNetwork) -> List[Pass[CaffeNetwork]]:
    """Return what has to be done about the BatchNorm layers that the network keeps."""
    layers = network.document.layers
    kept = [each for each in layers if isinstance(attributes_of(each), BatchNorm)]
    if not kept:
        return []
    passes: List[Pass[CaffeNetwork]] = [FixBatchNormStatistics()]
    if not all(map(is_frozen, kept)):
        reason = reason_to_freeze()
        passes += [FreezeBatchNorm(reason)] if reason is not None else []
    return passes


def write_network(
    network: CaffeNetwork, model_file: str, weights_file: str, files: FileSet
) -> None:
    """Stage a network and its weights."""
    files.add(model_file, network.document.format())
    with files.open(weights_file) as stream:
        _write_weights(stream, network)


def _write_weights(stream: IO[bytes], network: CaffeNetwork) -> None:
    """Write the weights of ``network``, each layer once."""
    types = {layer.name: layer.type for layer in network.document.layers}
    layers = [
        (name, kind, network.weights[name])
        for name, kind in types.items()
        if name in network.weights
    ]
    caffemodel.write(stream, network.document.name, layers, network.others)


def _input_shapes(request: InsertionRequest, views: NetworkViews) -> InputShapes:
    layers = views.source.document.layers_in("TEST")
    return input_shapes(layers, views.test, request.config.input_shapes, request.config_file)


def _float_model(
    network: CaffeNetwork, request: InsertionRequest
) -> Optional[Mapping[str, Mapping[str, Any]]]:
    """Return what the modified model says of the one that layers are inserted into."""
    found = network.float_model
    folder = os.path.dirname(request.modified_model_file)
    return None if found is None else found.as_json(folder)


def _empty_record(views: NetworkViews, plan: QatPlan, inputs: Mapping[str, str]) -> Record:
    """Return a record with an entry for each quantized layer, in network order, and each input."""
    planned = {layer.name for group in plan.groups for layer in group.layers}
    layers = [node.name for node in views.test.nodes if node.name in planned]
    return Record({name: LayerRecord() for name in (*layers, *inputs.values())})
