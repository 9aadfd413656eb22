"""A model with the layer types that ATC takes when it is given ``--op_name_map``."""

from __future__ import annotations

import attrs

from amct_caffe.model.formats.prototxt.layer import Layer
from ascend_backend.lint.model import DeployModel
from ascend_backend.op_name_map import OpNameMap


def with_type_names(model: DeployModel, op_names: OpNameMap) -> DeployModel:
    """Return ``model`` with the types that ATC takes.

    The weights file keeps its types: ATC does not apply the map to it.

    Raises:
        ConfigError: ATC would refuse the map for this model.
    """
    layers = tuple(_with_type(layer, op_names) for layer in model.layers)
    op_names.check_used({layer.type for layer in layers})
    return attrs.evolve(model, layers=layers)


def _with_type(layer: Layer, op_names: OpNameMap) -> Layer:
    taken = op_names.types.get(layer.type)
    if taken is None:
        return layer
    renamed = layer.copy()
    renamed.message.set("type", taken)
    return renamed
