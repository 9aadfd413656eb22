"""What ATC's front end links, from the two files alone: no code of the product.

Rules: hicann/ge, parser/parser/caffe: ``AddEdges``, ``FindShareParamLayers``,
``ConvertLayerParameter``, ``ParseWeights``, ``CheckNodes``.  The inputs of an operator are those of
its declaration in canndev and hicann/ops-nn.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

from plugins.ascend_backend.tests.wire_reader import StoredLayer

SKIPPED = [
    *("Split", "SoftmaxWithLoss", "Accuracy", "Data", "Dropout", "MultiLabelLMDB", "Python"),
    "AnnotatedData",
]

INPUTS: Dict[str, Tuple[str, str]] = {
    "BatchNorm": ("x mean variance momentum", "scale offset"),
    "Bias": ("x bias", ""),
    "Convolution": ("x filter", "bias offset_w"),
    "DeQuant": ("x deq_scale", ""),
    "Deconvolution": ("x filter", "bias offset_w"),
    "InnerProduct": ("x w", "b offset_w"),
    "LSTM": ("x cont w_x bias w_h", "x_static h_0 c_0 w_x_static"),
    "PReLU": ("x weight", ""),
    "Scale": ("x scale", "bias"),
}
"""Required and optional inputs of the operator that a layer with weights becomes."""

Links = Dict[int, List[str]]


def link(text: Sequence[Any], binary: Mapping[str, StoredLayer]) -> Dict[str, Links]:
    """Return by layer and input what is linked there: bottoms, and blobs of the binary file."""
    links: Dict[str, Links] = {
        layer.name: {index: [blob] for index, blob in enumerate(layer.bottom)} for layer in text
    }
    met: Dict[str, int] = {}
    for entry, stored in binary.items():
        if stored.type in SKIPPED:
            continue
        for name in sharing(text, entry):
            met[name] = met.get(name, 0) + 1
            if met[name] == 1 and name in links:
                _link_blobs(links[name], stored)
    return links


def sharing(text: Sequence[Any], name: str) -> List[str]:
    """Return the layers that get the blobs of the entry ``name``."""
    names = {layer.name: [p.name for p in layer.param if p.HasField("name")] for layer in text}
    own = names.get(name)
    return [other for other in names if own and names[other] == own] or [name]


def _link_blobs(links: Links, stored: StoredLayer) -> None:
    required, optional = (names.split() for names in INPUTS.get(stored.type, ("", "")))
    bottoms, blobs, total = len(stored.bottoms), len(stored.blobs), len(required) + len(optional)
    for blob in range(blobs):
        valid = [i for i in range(total) if i < len(required) or i in links]
        in_turn = total == bottoms + blobs or bottoms + blob >= len(valid)
        target = bottoms + blob if in_turn else valid[bottoms + blob]
        links.setdefault(target, []).append(f"blob {blob}")


def check_linked(text: Sequence[Any], binary: Mapping[str, StoredLayer]) -> None:
    """Assert that each input that an operator needs gets one bottom or blob, and no more."""
    links = link(text, binary)
    for layer in text:
        found = links[layer.name]
        assert all(len(linked) == 1 for linked in found.values()), (layer.name, found)
        if layer.type in INPUTS:
            required, optional = (names.split() for names in INPUTS[layer.type])
            assert set(range(len(required))) <= set(found), (layer.name, required, found)
            assert max(found) < len(required) + len(optional), (layer.name, found)


def check_entries(text: Sequence[Any], binary: Mapping[str, StoredLayer]) -> None:
    """Assert that each entry has the bottoms, tops and bias_term of its layer in the prototxt."""
    layers = {layer.name: layer for layer in text}
    for name, stored in binary.items():
        layer = layers[name]
        assert stored.type == layer.type
        assert (stored.bottoms, stored.tops) == (list(layer.bottom), list(layer.top)), name
        field = {"Convolution": "convolution_param", "InnerProduct": "inner_product_param"}
        told = getattr(layer, field[layer.type]) if layer.type in field else None
        without_bias = told is not None and told.HasField("bias_term") and not told.bias_term
        assert stored.bias_term == (False if without_bias else None), name
