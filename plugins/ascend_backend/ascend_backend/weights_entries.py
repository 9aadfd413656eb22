"""What an entry of the deployable weights file says beside name, type and blobs.

ATC links blob *i* of an entry to input ``B + i`` of the operator, where ``B`` is the number of
bottoms *of the entry*, whatever the prototxt says (hicann/ge parser/parser/caffe,
``CaffeCustomParserAdapter::ParseWeights``).  It reads ``bias_term`` of Convolution and InnerProduct
there too.  Everything else it drops (``CaffeWeightsParser::ParseLayerField``), and so it stays out:
Ascend's proto numbers some parameters differently from BVLC's (``PoolingParameter``).
"""

from __future__ import annotations

from typing import Dict, Iterable

from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.model.schema.encoding import encode
from amct_core.textproto import Message

_BIAS_TERM = {"Convolution": "convolution_param", "InnerProduct": "inner_product_param"}
"""The parameter message of which ATC reads ``bias_term``, by layer type."""


def entry_fields(layers: Iterable[Layer]) -> Dict[str, bytes]:
    """Return the fields of each layer's entry in binary format, by layer name.

    They are the layer's bottoms and tops, in order, and ``bias_term`` where it is false.

    Args:
        layers: of the deployable prototxt.
    """
    return {layer.name: encode(_entry(layer), "LayerParameter") for layer in layers}


def _entry(layer: Layer) -> Message:
    entry = Message()
    entry.set_all("bottom", layer.bottoms)
    entry.set_all("top", layer.tops)
    field = _BIAS_TERM.get(layer.type)
    if field is not None and layer.parameters(field).boolean("bias_term") is False:
        parameters = Message()
        parameters.set("bias_term", False)
        entry.set(field, parameters)
    return entry
