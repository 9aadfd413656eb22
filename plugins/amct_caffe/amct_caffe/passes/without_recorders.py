"""Leaves out of a modified model what writes its record in TEST passes."""

from __future__ import annotations

from typing import List, Sequence

import attrs

from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.passes.python_layers import is_python_layer, param_str
from amct_caffe.qat.parameters import ActivationParameters, from_param_str, to_param_str

_RECORDERS = ("ShiftSearch", "InputShape")


def without_recorders(layers: Sequence[Layer]) -> List[Layer]:
    """Return copies of ``layers`` that compute the same and write nothing.

    1. ShiftSearch and InputShape layers go: they only look at a blob.
    2. An ActivationQAT that records the shape of an input no longer does.
    """
    kept: List[Layer] = []
    for layer in layers:
        if any(is_python_layer(layer, kind) for kind in _RECORDERS):
            continue
        copy = layer.copy()
        if is_python_layer(layer, "ActivationQAT"):
            parameters = from_param_str(ActivationParameters, param_str(layer), layer.name)
            silent = to_param_str(attrs.evolve(parameters, sees_input=None))
            copy.parameters("python_param").set("param_str", silent)
        kept.append(copy)
    return kept
