"""Models that Caffe runs on arrays: saved ones, those in float32, and those with QAT layers."""

from __future__ import annotations

import functools
from typing import Callable, List, Mapping, Optional, Sequence

import attrs

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt.document import Layer, NetDocument
from amct_caffe.model.layer_type import layer_type
from amct_caffe.model.network import CaffeNetwork, read_network
from amct_caffe.model.to_inference import data_blobs, to_inference, with_input_shapes
from amct_caffe.passes.inserted import read_inserted
from amct_caffe.passes.without_recorders import without_recorders
from amct_caffe.saving.factors import read_factors
from amct_caffe.saving.fed_shapes import check_fed_shapes
from amct_caffe.saving.retrained import read_retrained_network
from amct_core.extensions.frontend import Executor, Factors
from amct_core.file_names import fake_quant_files
from amct_core.network_state import NetworkState, NetworkStates

Shapes = Mapping[str, Sequence[int]]


def executor(
    model_file: str, weights_file: str, test_state: Optional[NetworkState] = None
) -> Executor:
    """Return any network in its TEST phase, with inputs in place of its data layers.

    Args:
        model_file, weights_file: the network.
        test_state: in which it is tested, beside what its file says.
    """
    document = documents.read(model_file)
    document.states = NetworkStates(test=test_state or NetworkState())
    return _executor(document, document.layers_in("TEST"), model_file, weights_file, dict)


def fake_quant_executor(save_path: str) -> Executor:
    """Return the fake-quant model that is saved under ``save_path``."""
    model_file, weights_file = fake_quant_files(save_path)
    document = documents.read(model_file)
    return _executor(
        document,
        document.layers_in("TEST"),
        model_file,
        weights_file,
        lambda: read_factors(document, weights_file),
    )


def retrained_executor(model_file: str, weights_file: str) -> Executor:
    """Return a modified model as it is tested in training; its record stays as it is.

    Raises:
        ModelError: it is no modified model, or the snapshot is not one of it.
        TrainingError: the snapshot is from before the end of initialisation.
    """
    read_retrained_network(model_file, weights_file)  # else the layers speak of the solver
    document = documents.read(model_file)
    document.states = read_inserted(document).states
    layers = without_recorders(document.layers_in("TEST"))
    return _executor(document, layers, model_file, weights_file, dict)


def _executor(
    document: NetDocument,
    layers: Sequence[Layer],
    model_file: str,
    weights_file: str,
    factors: Callable[[], Factors],
) -> Executor:
    """Return a network that is fed with arrays.

    Args:
        document: the network.
        layers: those of it that run.
        model_file, weights_file: its files.
        factors: gives those of its Quant and DeQuant layers.
    """
    from amct_caffe.runtime.executor import CaffeExecutor

    def network(shapes: Shapes) -> NetDocument:
        fed: List[Layer] = to_inference(layers, shapes.__getitem__)
        fed = with_input_shapes(fed, shapes.__getitem__)
        return NetDocument.create(document.name, fed)

    @functools.cache
    def weighted() -> CaffeNetwork:
        # Shapes may depend on weights.
        has_weights = any(layer_type(layer).weights is not None for layer in layers)
        states = document.states
        return read_network(model_file, weights_file if has_weights else None, states)

    def check(shapes: Shapes) -> None:
        check_fed_shapes(attrs.evolve(weighted(), document=network(shapes)))

    return CaffeExecutor(
        inputs=data_blobs(layers),
        network=network,
        weights_file=weights_file,
        factors=factors,
        check=check,
    )
