"""The layer types of Caffe, one file per family; each type is declared in one place.

A declaration says how the parameters are read, what the type does to shapes and signs, how it is
computed and how it is written in ONNX: see :class:`amct_core.extensions.LayerType`.  Not computed
here: losses and Accuracy, which a deployed network does not have, and the layers of Caffe's SSD
fork that need boxes.  They pass through everything that does not run the network, and a plugin may
add how they are computed.
"""

from __future__ import annotations

from typing import Tuple

from amct_caffe.model.layer_types import (
    activations,
    convolution,
    data,
    elementwise,
    inner_product,
    integers,
    layout,
    normalization,
    pooling,
    reductions,
    softmax,
)
from amct_core.extensions import LayerType

LAYER_TYPES: Tuple[LayerType, ...] = (
    *activations.LAYER_TYPES,
    *convolution.LAYER_TYPES,
    *data.LAYER_TYPES,
    *elementwise.LAYER_TYPES,
    *inner_product.LAYER_TYPES,
    *integers.LAYER_TYPES,
    *layout.LAYER_TYPES,
    *normalization.LAYER_TYPES,
    *pooling.LAYER_TYPES,
    *reductions.LAYER_TYPES,
    *softmax.LAYER_TYPES,
)

__all__ = ["LAYER_TYPES"]
