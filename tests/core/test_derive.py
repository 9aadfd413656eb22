"""From trained bounds and weights to the integers of a quantized model, in numbers done by hand.

ULQ: ``scale_d = (clip_max - clip_min) / 255`` and ``offset_d = -128 - clip_min / scale_d``.  ARQ:
``scale_w = max(max w / 127, -min w / 128)`` of each channel.  ``deq_scale = scale_d * scale_w``,
and the integer bias is ``bias / deq_scale``, rounded.  An AVE pooling has ``deq_scale = scale_d /
(kh * kw)``.
"""

from __future__ import annotations

import logging
from typing import Any, Optional

import attrs
import numpy as np
import pytest

from amct_core.derive import derive, updated_record
from amct_core.errors import QuantizationError, TrainingError
from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import (
    BatchNorm,
    Convolution,
    InnerProduct,
    Input,
    Pooling,
    Scale,
)
from amct_core.plugins import registries
from amct_core.quantized_model import QuantizedModel
from amct_core.record import LayerRecord, Record
from amct_core.retrained import RetrainedLayer, RetrainedNetwork, ShapeRecord

PLUGINS = registries()
FC_WEIGHTS = np.array([[127, 0, -64], [0, 254, 2]], np.float32)
FC_BIAS = np.array([3, -4], np.float32)
RECORDED = LayerRecord(scale_d=0.5, offset_d=0, scale_w=(1, 2), offset_w=(0, 0), shift_bit=(3, 16))


def node(name: str, op: str, bottom: str, top: str, attributes: Any, *weights: Any) -> Node:
    arrays = [np.asarray(each, np.float32) for each in weights]
    return Node(name, PLUGINS.layer_type(op), (bottom,), (top,), attributes, arrays)


DATA = Node("data", PLUGINS.layer_type("Input"), (), ("data",), Input(((1, 3),)))
FC = node("fc", "InnerProduct", "data", "fc", InnerProduct(2, True, 1, False), FC_WEIGHTS, FC_BIAS)


def trained(name: str, **changes: Any) -> RetrainedLayer:
    fields: dict[str, Any] = {
        "clip_max": 63.5,
        "clip_min": -64.0,
        "fixed_min": False,
        "activation_algorithm": "ulq_quantize",
        "weight_algorithm": "arq_retrain",
        "channel_wise": True,
    }
    return RetrainedLayer(name, **{**fields, **changes})


def network(
    *layers: RetrainedLayer, nodes: Any = (DATA, FC), search: str = "search_n_v2", **more: Any
) -> RetrainedNetwork:
    return RetrainedNetwork(
        Graph("net", nodes, "net.prototxt"), layers, search, "record.txt", "w.caffemodel", **more
    )


def derived(
    entry: Optional[LayerRecord] = RECORDED, search: str = "search_n_v2", **changes: Any
) -> QuantizedModel:
    record = Record({} if entry is None else {"fc": entry})
    return derive(network(trained("fc", **changes), search=search), record, PLUGINS)


def test_scales_weights_and_bias_follow_from_bounds_and_weights() -> None:
    (layer,) = derived().layers
    assert (layer.name, layer.op, layer.divisor) == ("fc", "InnerProduct", 1)
    assert layer.input_value == Value("data")
    assert (layer.quant_scale, layer.offset) == (2.0, 0)
    assert layer.weights is not None and layer.bias is not None
    assert layer.weights.tolist() == [[127, 0, -64], [0, 127, 1]]
    assert layer.deq_scale.tolist() == [0.5, 1.0]
    assert layer.bias.tolist() == [6, -4]
    assert layer.shift_n.tolist() == [3, 16]
    assert layer.provenance.scale_d == 0.5
    assert np.asarray(layer.provenance.scale_w).tolist() == [1.0, 2.0]


def test_bounds_that_are_not_symmetric_have_an_offset() -> None:
    (layer,) = derived(RECORDED, clip_max=127.5, clip_min=0.0, fixed_min=True).layers
    assert (layer.quant_scale, layer.offset) == (2.0, -128)


def test_one_scale_for_all_channels_is_the_largest() -> None:
    entry = attrs.evolve(RECORDED, scale_w=(2,), offset_w=(0,), shift_bit=(1,))
    (layer,) = derived(entry, channel_wise=False).layers
    assert layer.deq_scale.tolist() == [1.0]
    assert layer.weights is not None
    # 127 / 2 = 63.5 is rounded away from zero.
    assert layer.weights.tolist() == [[64, 0, -32], [0, 127, 1]]


def test_a_layer_without_bias_has_none() -> None:
    fc = attrs.evolve(FC, weights=FC.weights[:1])
    model = derive(network(trained("fc"), nodes=(DATA, fc)), Record({"fc": RECORDED}), PLUGINS)
    assert model.layers[0].bias is None


def test_without_a_search_n_is_0_whatever_the_record_says() -> None:
    for entry in (RECORDED, None):
        assert derived(entry, "none").layers[0].shift_n.tolist() == [0, 0]


@pytest.mark.parametrize("entry", [None, LayerRecord(scale_d=0.5)])
def test_a_search_that_has_not_run_is_told(entry: Optional[LayerRecord]) -> None:
    with pytest.raises(TrainingError, match="no shift factor N") as caught:
        derived(entry)
    error = caught.value
    assert (error.file, error.layer, error.field) == ("record.txt", "fc", "shift_bit")
    assert "'search_n_v2'" in error.problem


def test_as_many_n_as_scales_are_needed() -> None:
    with pytest.raises(TrainingError, match="has 1 values of N; expected 2"):
        derived(attrs.evolve(RECORDED, shift_bit=(3,)))


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({}, False),
        ({"scale_d": 0.25}, True),
        ({"scale_d": None}, True),
        ({"scale_w": (1, 3)}, True),
        ({"scale_w": ()}, True),
    ],
)
def test_an_n_that_was_searched_at_other_factors_is_warned_of(
    caplog: pytest.LogCaptureFixture, changes: dict[str, Any], warned: bool
) -> None:
    with caplog.at_level(logging.WARNING, "amct_core"):
        derived(attrs.evolve(RECORDED, **changes))
    assert ("N was searched at other bounds or weights" in caplog.text) is warned


@pytest.mark.parametrize(
    ("entry", "warned"),
    [(None, True), (LayerRecord(), True), (RECORDED, True), (LayerRecord(scale_d=1.0), False)],
)
def test_bounds_that_training_has_drawn_together_are_warned_of(
    caplog: pytest.LogCaptureFixture, entry: Optional[LayerRecord], warned: bool
) -> None:
    with caplog.at_level(logging.WARNING, "amct_core"):
        (layer,) = derived(entry, "none", clip_max=1e-12, clip_min=-1e-12).layers
    assert layer.quant_scale == 1.0
    assert ("are so near to each other" in caplog.text) is warned


@pytest.mark.parametrize(
    ("sizes", "shape"),
    [
        ((None, None, None), None),
        ((3, None, None), (3, 1, 1)),
        ((3, 5, None), (3, 5, 1)),
        ((3, 5, 7), (3, 5, 7)),
    ],
)
def test_the_shape_of_the_input_is_the_recorded_one(sizes: Any, shape: Any) -> None:
    channels, height, width = sizes
    entry = attrs.evolve(RECORDED, channels=channels, height=height, width=width)
    assert derived(entry).layers[0].input_shape == shape
    assert derived(None, "none").layers[0].input_shape is None


def test_a_pooling_divides_by_its_window_and_has_no_weights() -> None:
    pool = node("pool", "Pooling", "data", "pool", Pooling("AVE", (2, 4), (2, 2), (0, 0), False))
    nodes = (attrs.evolve(DATA, attributes=Input(((1, 2, 4, 4),))), pool)
    layer = trained("pool", weight_algorithm=None, channel_wise=False)
    (found,) = derive(network(layer, nodes=nodes), Record(), PLUGINS).layers
    assert (found.weights, found.bias, found.divisor) == (None, None, 8)
    assert found.deq_scale.tolist() == [0.0625]
    assert found.shift_n.tolist() == [0]


def test_layers_are_those_that_were_trained_in_their_order() -> None:
    other = node("fc2", "InnerProduct", "fc", "fc2", InnerProduct(1, False, 1, False), [[254, 1]])
    layers = (trained("fc"), trained("fc2"))
    record = Record({"fc": RECORDED, "fc2": LayerRecord(0.5, 0, (2,), (0,), (7,))})
    model = derive(network(*layers, nodes=(DATA, FC, other)), record, PLUGINS)
    assert [layer.name for layer in model.layers] == ["fc", "fc2"]
    assert [layer.shift_n.tolist() for layer in model.layers] == [[3, 16], [7]]
    assert [each.name for each in model.graph.nodes] == ["data", "fc", "fc2"]


def test_numbers_that_cannot_be_quantized_are_told_with_file_and_layer() -> None:
    fc = attrs.evolve(FC, weights=(FC_WEIGHTS, np.array([1e30, 0], np.float32)))
    with pytest.raises(QuantizationError, match="bias") as caught:
        derive(network(trained("fc"), nodes=(DATA, fc)), Record({"fc": RECORDED}), PLUGINS)
    assert (caught.value.file, caught.value.layer) == ("w.caffemodel", "fc")


def test_batch_norm_and_scale_go_into_the_layer_before_them() -> None:
    conv = Convolution(2, (1, 1), (1, 1), (0, 0), (1, 1), 1, False, 1)
    nodes = (
        attrs.evolve(DATA, attributes=Input(((1, 1, 2, 2),))),
        node("conv", "Convolution", "data", "conv", conv, np.reshape([127.0, 254.0], (2, 1, 1, 1))),
        node("bn", "BatchNorm", "conv", "bn", BatchNorm(0.0, True), [2, 4], [4, 16], [1]),
        node("scale", "Scale", "bn", "scale", Scale(1, 1, True), [2, -8], [1, 3]),
        node("relu", "ReLU", "scale", "relu", None),
    )
    layer = trained("conv", folded=("bn", "scale"))
    model = derive(network(layer, nodes=nodes, search="none"), Record(), PLUGINS)
    assert [each.name for each in model.graph.nodes] == ["data", "conv", "relu"]
    assert model.graph.node("conv").tops == ("scale",)
    (found,) = model.layers
    # gamma / deviation is 2 / 2 and -8 / 4: the first channel stays, the second is doubled and
    # turned round: -508 becomes -128.  beta - mean * factor: 1 - 2 * 1, and 3 - 4 * -2.
    scale_w = np.asarray(found.provenance.scale_w)
    assert scale_w.tolist() == [1.0, 508 / 128]
    assert found.weights is not None and found.bias is not None
    assert found.weights.reshape(-1).tolist() == [127, -128]
    assert found.deq_scale.tolist() == [0.5, 254 / 128]
    assert found.bias.tolist() == [-2, 6]


def test_shapes_of_inputs_are_those_of_insertion_and_those_that_training_recorded() -> None:
    given = network(
        trained("fc"),
        input_shapes={"data": (1, 3)},
        shape_records=(
            ShapeRecord("a", "a_shape", 4),
            ShapeRecord("b", "b_shape", 4),
            ShapeRecord("c", "c_shape", 4),
        ),
    )
    entries = {
        "fc": RECORDED,
        "a_shape": LayerRecord(channels=3, height=8, width=9),
        "b_shape": LayerRecord(),
    }
    assert derive(given, Record(entries), PLUGINS).input_shapes == {
        "data": (1, 3),
        "a": (4, 3, 8, 9),
    }


def test_the_record_gets_the_factors_of_the_model_and_keeps_n_and_shapes() -> None:
    old = attrs.evolve(RECORDED, scale_d=9, offset_d=9, scale_w=(9, 9), channels=3)
    model = derived(old)
    found = updated_record(Record({"other": LayerRecord(channels=1), "fc": old}), model)
    assert found.get("fc") == attrs.evolve(RECORDED, channels=3)
    assert list(found) == ["other", "fc"] and found.get("other") == LayerRecord(channels=1)
    fresh = updated_record(Record(), model).get("fc")
    assert fresh == attrs.evolve(RECORDED, shift_bit=())
