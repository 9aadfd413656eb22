"""What ATC finds in a deployable model: read from ATC's field numbers alone.

The model's integers are chosen by hand, so that what is expected does not depend on how they are
derived.
"""

from __future__ import annotations

from typing import Any, List

import pytest

from ascend_backend.weights_entries import entry_fields
from plugins.ascend_backend.tests import hand_made
from plugins.ascend_backend.tests.atc_linking import check_entries, check_linked
from plugins.ascend_backend.tests.hand_made import FACTORS, WEIGHTS, Written, layers
from plugins.ascend_backend.tests.wire_reader import decode_word, float32_bits

MODEL = {layer.name: layer for layer in layers()}
WITH_WEIGHTS = list(WEIGHTS)
WITH_BIAS = [name for name, (_, _, has_bias) in WEIGHTS.items() if has_bias]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Return the files of the hand-made model."""
    return hand_made.write(tmp_path_factory.mktemp("deploy"))


def words(written: Written, name: str) -> List[Any]:
    """Return the decoded words of a layer's DeQuant."""
    (blob,) = written.binary[f"{name}_dequant_layer"].blobs
    return [decode_word(word) for word in blob.values]


def test_layers_stand_in_the_order_in_which_they_run(written: Written) -> None:
    assert [(layer.name, layer.type) for layer in written.text] == [
        ("data", "Input"),
        ("conv_0_quant_layer", "Quant"),
        ("conv", "Convolution"),
        ("conv_dequant_layer", "DeQuant"),
        ("relu", "ReLU"),
        ("side", "Convolution"),
        ("side_dequant_layer", "DeQuant"),
        ("other_0_quant_layer", "Quant"),
        ("other", "Convolution"),
        ("other_dequant_layer", "DeQuant"),
        ("up_0_quant_layer", "Quant"),
        ("up", "Deconvolution"),
        ("up_dequant_layer", "DeQuant"),
        ("pool_0_quant_layer", "Quant"),
        ("pool", "Pooling"),
        ("pool_dequant_layer", "DeQuant"),
        ("fc_0_quant_layer", "Quant"),
        ("fc", "InnerProduct"),
        ("fc_dequant_layer", "DeQuant"),
        ("loss", "Softmax"),
    ]


def test_the_data_layer_becomes_an_input_of_the_recorded_shape(written: Written) -> None:
    source = written.layer("data")
    assert (list(source.bottom), list(source.top)) == ([], ["data"])
    (shape,) = source.input_param.shape
    assert list(shape.dim) == [4, 4, 8, 8], "batch size of the TEST phase, then the record's"


def test_the_loss_becomes_a_softmax_without_labels(written: Written) -> None:
    loss = written.layer("loss")
    assert (list(loss.bottom), list(loss.top)) == (["fc"], ["prob"])


def test_no_layer_reads_what_is_gone(written: Written) -> None:
    made = set()
    for layer in written.text:
        assert made.issuperset(layer.bottom)
        made.update(layer.top)
    assert "label" not in made


@pytest.mark.parametrize("name", FACTORS)
def test_between_quant_and_dequant_runs_the_layer(written: Written, name: str) -> None:
    layer, dequant = written.layer(name), written.layer(f"{name}_dequant_layer")
    (source,) = layer.bottom
    assert written.producer(source).type == "Quant"
    assert list(dequant.bottom) == list(layer.top)
    assert list(dequant.top) == [name], "the rest of the network reads the blob it always read"


@pytest.mark.parametrize("name", FACTORS)
def test_quant_has_one_over_scale_d_and_one_signed_byte(written: Written, name: str) -> None:
    (source,) = written.layer(name).bottom
    quant = written.producer(source).quant_param
    scale, offset = FACTORS[name]
    assert float32_bits(quant.scale) == float32_bits(scale)
    assert quant.offset == bytes([offset % 256])


def test_siblings_with_equal_factors_share_the_quant_of_the_first(written: Written) -> None:
    quants = {layer.top[0]: layer.bottom[0] for layer in written.text if layer.type == "Quant"}
    assert quants["conv_0_quant_layer"] == quants["other_0_quant_layer"] == "data"
    assert list(written.layer("conv").bottom) == ["conv_0_quant_layer"]
    assert list(written.layer("side").bottom) == ["conv_0_quant_layer"]
    assert list(written.layer("other").bottom) == ["other_0_quant_layer"], "another offset"


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_weights_are_int8_in_caffes_own_layout(written: Written, name: str) -> None:
    stored = written.binary[name]
    weights = MODEL[name].weights
    assert weights is not None
    assert stored.type == MODEL[name].op
    assert stored.blobs[0] == ("int8_data", list(WEIGHTS[name][0]), weights.ravel().tolist())


@pytest.mark.parametrize("name", WITH_BIAS)
def test_the_bias_is_int32_with_one_axis(written: Written, name: str) -> None:
    bias = MODEL[name].bias
    assert bias is not None
    assert written.binary[name].blobs[1:] == [("int32_data", [len(bias)], bias.tolist())]


def test_a_layer_without_bias_has_one_blob(written: Written) -> None:
    assert len(written.binary["side"].blobs) == 1


def test_quants_and_poolings_have_no_blobs(written: Written) -> None:
    with_blobs = {*WITH_WEIGHTS, *(f"{name}_dequant_layer" for name in FACTORS)}
    assert set(written.binary) == with_blobs


@pytest.mark.parametrize("name", FACTORS)
def test_dequant_has_one_word_per_scale(written: Written, name: str) -> None:
    layer = MODEL[name]
    assert written.binary[f"{name}_dequant_layer"].type == "DeQuant"
    (blob,) = written.binary[f"{name}_dequant_layer"].blobs
    assert (blob.field, blob.shape) == ("uint64_data", [len(layer.deq_scale)])
    found = words(written, name)
    assert [w.deq_scale_bits for w in found] == [float32_bits(s) for s in layer.deq_scale]
    assert [w.shift_n for w in found] == layer.shift_n.tolist()
    assert {(w.offset_w, w.reserved) for w in found} == {(0, 0)}


def test_a_pooling_has_one_scale_and_no_shift(written: Written) -> None:
    (word,) = words(written, "pool")
    assert word.deq_scale_bits == float32_bits(MODEL["pool"].deq_scale[0])
    assert word.shift_n == 0


def test_an_entry_has_the_bottoms_and_tops_of_its_layer(written: Written) -> None:
    check_entries(written.text, written.binary)
    assert written.binary["conv_dequant_layer"].bottoms == list(written.layer("conv").top)
    assert written.binary["side"].bias_term is False, "the layer has no bias"


def test_several_bottoms_and_tops_keep_their_number_and_order() -> None:
    text = """layer { name: "sum" type: "Scale" bottom: "x" bottom: "by"
      top: "out" top: "more" top: "last" }"""
    fields = entry_fields(hand_made.documents.from_text(text).layers)
    assert fields == {"sum": b"\x1a\x01x\x1a\x02by\x22\x03out\x22\x04more\x22\x04last"}


def test_every_input_is_linked_once(written: Written) -> None:
    check_linked(written.text, written.binary)


@pytest.mark.parametrize("wrong", [[], ["x", "x"]])
def test_entries_with_other_bottoms_link_something_else(written: Written, wrong: list[str]) -> None:
    binary = dict(written.binary)
    binary["fc_dequant_layer"] = binary["fc_dequant_layer"]._replace(bottoms=wrong)
    with pytest.raises(AssertionError, match="fc_dequant_layer"):
        check_linked(written.text, binary)


def test_the_binary_file_has_the_layers_in_the_order_of_the_prototxt(written: Written) -> None:
    names = [layer.name for layer in written.text]
    assert list(written.binary) == [n for n in names if n in written.binary]


def test_the_name_map_tells_which_layer_each_one_comes_from(written: Written) -> None:
    ((graph,),) = [written.names["graph"]]
    origins = {
        op["name"]: op["attr"][0]["value"]["list"]["s"] for op in graph["op"] if "attr" in op
    }
    assert [op["name"] for op in graph["op"]] == [layer.name for layer in written.text]
    for name in FACTORS:
        assert origins[name] == origins[f"{name}_dequant_layer"] == [name]
