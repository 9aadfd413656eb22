"""Reads from a fake-quant model the factors with which it quantizes and dequantizes."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.caffemodel import reader
from amct_caffe.model.formats.prototxt.document import NetDocument
from amct_caffe.passes.python_layers import is_python_layer, param_str
from amct_caffe.qat.parameters import QuantParameters, from_param_str
from amct_core.extensions.frontend import Factors
from amct_core.numerics import exactness


def read_factors(document: NetDocument, weights_file: str) -> Factors:
    """Return the factors of each Quant and DeQuant; see :meth:`Executor.factors`.

    Args:
        document: the fake-quant model's prototxt.
        weights_file: its caffemodel.

    Raises:
        AmctError: the file cannot be read, or a layer's parameters are not ours.
    """
    weights = reader.read(weights_file).by_name()
    found: Dict[str, Mapping[str, NDArray[Any]]] = {}
    for layer in document.layers_in("TEST"):
        if is_python_layer(layer, "Quant"):
            quant = from_param_str(QuantParameters, param_str(layer), layer.name)
            found[layer.name] = {
                "scale": np.asarray([quant.scale], np.float32),
                "offset": np.asarray([quant.offset]),
            }
        elif is_python_layer(layer, "DeQuant") and layer.name in weights:
            deq_scale, shift_n, *bias = weights[layer.name].blobs
            found[layer.name] = {"deq_scale": deq_scale, "shift_n": shift_n}
            if bias:
                high, low = bias
                found[layer.name] = {
                    **found[layer.name],
                    "bias": exactness.join_bias(high, low),
                }
    return found
