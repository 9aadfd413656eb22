"""V1 layer types (``layers { type: CONVOLUTION }``) and their names of today."""

from __future__ import annotations

from typing import Optional

from amct_caffe.model.schema.fields import enum_name, enum_values
from amct_caffe.model.schema.pool import message_descriptor

_IRREGULAR = {"NONE": "", "ABSVAL": "AbsVal", "BNLL": "BNLL", "SOFTMAX_LOSS": "SoftmaxWithLoss"}


def v1_layer_type(name: str) -> Optional[str]:
    """Return today's name of a V1 layer type: ``INNER_PRODUCT`` is ``InnerProduct``.

    It is that of the type's parameter message (``tanh_param`` is a ``TanHParameter``), where it has
    one.

    Args:
        name: the enum value's name or, as text format allows, its number.

    Returns:
        None for a name or number that V1 does not have.

    Source: BVLC Caffe, ``UpgradeV1LayerType`` in upgrade_proto.cpp.
    """
    types = message_descriptor("V1LayerParameter").fields_by_name["type"]
    name = enum_name(types, name)
    if name not in enum_values(types):
        return None
    if name in _IRREGULAR:
        return _IRREGULAR[name]
    own = message_descriptor("LayerParameter").fields_by_name.get(f"{name.lower()}_param")
    if own is not None:
        return str(own.message_type.name)[: -len("Parameter")]
    return "".join(part.capitalize() for part in name.split("_"))
