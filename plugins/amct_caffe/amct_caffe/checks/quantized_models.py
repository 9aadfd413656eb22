"""Models that have been quantized, where a float model is expected."""

from __future__ import annotations

from typing import Iterator, Optional

import attrs

from amct_caffe.checks.check import Violation
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.network import CaffeNetwork, read_network
from amct_caffe.model.quantized_names import (
    DEPLOYABLE,
    FAKE_QUANT,
    MODIFIED,
    find_quantized,
)
from amct_caffe.passes.python_layers import is_python_layer
from amct_core.errors import ModelError
from amct_core.extensions.frontend import NetworkViews

_OWN_LAYERS = {
    "ActivationQAT": MODIFIED,
    "WeightQAT": MODIFIED,
    "Calibration": "a modified model, to calibrate",
    "ShiftSearch": MODIFIED,
    "Quant": FAKE_QUANT,
    "DeQuant": FAKE_QUANT,
}
_DEPLOYED_TYPES = frozenset(
    {"Quant", "DeQuant", "AntiQuant", "AscendQuant", "AscendDequant", "AscendAntiQuant"}
)
_REMEDY = "Give the float model that it was made of, and the weights of that."


def quantized_already(views: NetworkViews) -> Iterator[Violation]:
    """Yield what the network is, or else what the weights are, if that is not a float model."""
    network: CaffeNetwork = views.source
    yield from no_float_model(network)


def no_float_model(network: CaffeNetwork) -> Iterator[Violation]:
    """Yield what :func:`quantized_already` does, of a network without its graphs."""
    for layer in network.document.layers:
        kind = _kind_of(layer)
        if kind is not None:
            yield Violation(
                "type",
                f"it is a layer of {kind}; expected a float model.",
                _REMEDY,
                layer.name,
                network.model_file,
            )
            return
    yield from _of_weights(network)


def require_float_model(model_file: str, weights_file: str, remedy: str) -> None:
    """Raise a ModelError if the files are not those of a float model; it tells ``remedy``."""
    # The prototxt first: the weights of another kind of model need not fit it.
    for weights in (None, weights_file):
        for violation in no_float_model(read_network(model_file, weights)):
            raise attrs.evolve(violation, remedy=remedy).as_error(ModelError)


def _kind_of(layer: Layer) -> Optional[str]:
    if layer.type in _DEPLOYED_TYPES:
        return DEPLOYABLE
    return next((kind for own, kind in _OWN_LAYERS.items() if is_python_layer(layer, own)), None)


def _of_weights(network: CaffeNetwork) -> Iterator[Violation]:
    stranger = find_quantized(network.strangers)
    if stranger is not None:
        yield Violation(
            "name",
            f"the weights file has a layer that only {stranger.kind} has; expected the weights of "
            "a float model.",
            _REMEDY,
            stranger.layer,
            network.weights_file,
        )
        return
    for name, blobs in network.weights.items():
        for index, blob in enumerate(blobs):
            if blob.dtype.kind != "f":
                yield Violation(
                    f"blobs[{index}]",
                    f"it holds {blob.dtype} values, as {DEPLOYABLE} does; expected float32.",
                    _REMEDY,
                    name,
                    network.weights_file,
                )
                return
