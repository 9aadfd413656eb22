"""V1 layer types (``layers { type: CONVOLUTION }``) and their names of today."""

from __future__ import annotations

from typing import Optional

from amct_caffe.model.schema.fields import enum_values

_IRREGULAR = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "DEQUANT": "DeQuant",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}


def v1_layer_type(name: str) -> Optional[str]:
    """Return today's name of a V1 layer type: ``INNER_PRODUCT`` is ``InnerProduct``.

    Args:
        name: the enum value's name or, as text format allows, its number.

    Returns:
        None for a name or number that V1 does not have.

    Source: BVLC Caffe, ``UpgradeV1LayerType`` in upgrade_proto.cpp.
    """
    known = enum_values("V1LayerParameter.LayerType")
    if name not in known:
        name = next((own for own, number in known.items() if str(number) == name), "")
    if not name:
        return None
    if name in _IRREGULAR:
        return _IRREGULAR[name]
    return "".join(part.capitalize() for part in name.split("_"))
