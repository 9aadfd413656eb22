"""The Python layers that ``python_param { module: "amct_caffe.layers" }`` names.

Caffe imports this module when it builds a net; nothing else does.
"""

from __future__ import annotations

from amct_caffe.runtime.activation_qat import ActivationQAT
from amct_caffe.runtime.array_data import ArrayData
from amct_caffe.runtime.calibration import Calibration
from amct_caffe.runtime.dequant import DeQuant
from amct_caffe.runtime.input_shape import InputShape
from amct_caffe.runtime.quant import Quant
from amct_caffe.runtime.shift_search import ShiftSearch
from amct_caffe.runtime.weight_qat import WeightQAT

__all__ = [
    "ActivationQAT",
    "ArrayData",
    "Calibration",
    "DeQuant",
    "InputShape",
    "Quant",
    "ShiftSearch",
    "WeightQAT",
]
