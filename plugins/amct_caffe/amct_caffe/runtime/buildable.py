"""Whether this Caffe knows what a net is made of; it ends the process where it does not."""

from __future__ import annotations

from typing import List

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.runtime.capabilities.asking import capability
from amct_caffe.runtime.capabilities.pooling import FIELDS
from amct_caffe.runtime.pycaffe import caffe
from amct_core.errors import EnvironmentUnsuitableError


def require_buildable(prototxt: str) -> None:
    """Raise if a net has layer types, or fields of Pooling, that this Caffe does not know.

    Raises:
        EnvironmentUnsuitableError: naming the first layer.
    """
    layers = documents.from_text(prototxt).layers
    if hasattr(caffe, "layer_type_list"):
        known = set(caffe.layer_type_list())
        for layer in layers:
            if layer.type not in known:
                raise _unsuitable(layer, f"has no layer type {layer.type}")
    for layer in layers:
        fields = [name for name in FIELDS if layer.parameters("pooling_param").has(name)]
        if fields and fields[0] not in _known_roundings():
            raise _unsuitable(layer, f"does not know {fields[0]} of Pooling")


def _known_roundings() -> List[str]:
    answer = capability("pooling_rounds_down")
    return list(answer.found) if answer is not None else []


def _unsuitable(layer: Layer, what: str) -> EnvironmentUnsuitableError:
    return EnvironmentUnsuitableError(
        f"this Caffe ({caffe.__file__}) {what}.",
        layer=layer.name,
        remedy="Run the model in the Caffe that it was trained in; see: amct doctor.",
    )
