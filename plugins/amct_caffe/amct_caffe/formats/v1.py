"""V1 layer types and their names of today."""

from __future__ import annotations

from amct_caffe.schema.fields import enum_values

_IRREGULAR = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "IM2COL": "Im2col",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}

V1_LAYER_TYPES = {n: name for name, n in enum_values("V1LayerParameter.LayerType").items()}
"""V1 layer types by number."""


def v1_layer_type(name: str) -> str:
    """Return today's name of a V1 layer type: ``INNER_PRODUCT`` is ``InnerProduct``.

    Source: BVLC Caffe, ``UpgradeV1LayerType`` in upgrade_proto.cpp.
    """
    if name in _IRREGULAR:
        return _IRREGULAR[name]
    return "".join(part.capitalize() for part in name.split("_"))
