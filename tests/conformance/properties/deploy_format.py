"""What ATC's front end finds in every deployable model: linked inputs, and the model's integers."""

from __future__ import annotations

from typing import Any

from amct_caffe.frontend import CaffeFrontend
from amct_core import record as records
from amct_core.derive import derive
from amct_core.plugins import registries
from amct_core.quantized_model import QuantizedLayer, QuantizedModel
from plugins.ascend_backend.tests.atc_linking import check_entries, check_linked
from plugins.ascend_backend.tests.text_reader import read_prototxt
from plugins.ascend_backend.tests.wire_reader import (
    StoredLayer,
    decode_word,
    float32_bits,
    read_caffemodel,
)
from tests.conformance.runner import Inserted, Saved

DEPLOYED_AS = {"ConvolutionDepthwise": "Convolution", "DepthwiseConvolution": "Convolution"}
"""Types that stand in a deployable model as others: ATC refuses the first of them."""


def inputs_are_linked_and_a_second_reader_finds_the_integers(saved: Saved) -> None:
    model = derived(saved.inserted)
    text, weights = read_prototxt(saved.files[0]), read_caffemodel(saved.files[1])
    layers = {layer.name: layer for layer in text}
    check_entries(text, weights)
    check_linked(text, weights)
    for layer in model.layers:
        check_quant(layer, layers)
        check_blobs(layer, weights)
        check_dequant(layer, layers, weights)
    quants = [layer for layer in layers.values() if layer.type == "Quant"]
    assert len(quants) == len({layer.quant_key for layer in model.layers})
    assert set(weights) <= set(layers)


def derived(inserted: Inserted) -> QuantizedModel:
    """Return the model that saving renders."""
    frontend = CaffeFrontend()
    files = inserted.path("modified.prototxt"), inserted.path("snapshot.caffemodel")
    record = records.read(inserted.path("record.txt"))
    return derive(frontend.read_retrained(*files), record, registries())


def check_quant(layer: QuantizedLayer, layers: dict[str, Any]) -> None:
    (source,) = layers[layer.name].bottom
    (quant,) = (found for found in layers.values() if list(found.top) == [source])
    assert quant.type == "Quant"
    assert quant.name.endswith("_0_quant_layer")
    assert float32_bits(quant.quant_param.scale) == float32_bits(layer.quant_scale)
    assert int.from_bytes(quant.quant_param.offset, "little", signed=True) == layer.offset
    assert len(quant.quant_param.offset) == 1


def check_blobs(layer: QuantizedLayer, weights: dict[str, StoredLayer]) -> None:
    if layer.weights is None:
        assert layer.name not in weights
        return
    blobs = weights[layer.name].blobs
    assert weights[layer.name].type == DEPLOYED_AS.get(layer.op, layer.op)
    assert blobs[0] == ("int8_data", list(layer.weights.shape), layer.weights.ravel().tolist())
    if layer.bias is None:
        assert len(blobs) == 1
    else:
        (bias,) = blobs[1:]
        assert bias == ("int32_data", list(layer.bias.shape), layer.bias.tolist())


def check_dequant(
    layer: QuantizedLayer,
    layers: dict[str, Any],
    weights: dict[str, StoredLayer],
) -> None:
    name = f"{layer.name}_dequant_layer"
    assert layers[name].type == "DeQuant"
    assert layers[name].bottom == layers[layer.name].top
    (blob,) = weights[name].blobs
    assert weights[name].type == "DeQuant"
    assert (blob.field, blob.shape) == ("uint64_data", [len(layer.deq_scale)])
    words = [decode_word(word) for word in blob.values]
    assert [word.deq_scale_bits for word in words] == [float32_bits(s) for s in layer.deq_scale]
    assert [word.shift_n for word in words] == layer.shift_n.tolist()
    assert {(word.offset_w, word.reserved) for word in words} == {(0, 0)}
