"""Each way in which a processor departs from the exact integers, alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from amct_core.errors import AmctError, ModelError, PluginError
from amct_core.extensions import Fact
from amct_core.extensions.processor_family import FLOAT16, FLOAT16_SCALE
from amct_core.graph.attributes import Quant
from cpu_sim_backend import Simulator
from cpu_sim_backend.device import as_computed_by
from plugins.cpu_sim_backend.tests.device.toy import (
    NETWORK,
    NO,
    UNKNOWN,
    YES,
    blobs,
    family,
    graph,
    images,
    on,
    outputs,
    words,
)

BLOBS = ["q", "conv_acc", "conv", "pool_acc", "pool", "q2", "up_acc", "up", "q3", "fc_acc", "fc"]


def same(found: Any, expected: Any) -> None:
    assert found.keys() == expected.keys()
    for blob, array in expected.items():
        assert found[blob].dtype == array.dtype
        np.testing.assert_array_equal(found[blob], array, blob)


@pytest.mark.parametrize(
    "toy",
    [
        family(),
        family(
            quantizes_in_fp16=UNKNOWN,
            cuts_deq_scale=UNKNOWN,
            honours_shift_n=UNKNOWN,
            rolls_back=UNKNOWN,
        ),
    ],
    ids=["exact", "unknown"],
)
def test_what_is_exact_or_unknown_changes_nothing(toy: Any) -> None:
    device = on(toy, blobs())
    same(outputs(device.graph, BLOBS), outputs(graph(blobs()), BLOBS))
    assert all(deviation.layers == () for deviation in device.deviations)


def test_n_passed_over_is_the_model_with_n_0() -> None:
    without = blobs()
    for name in ("conv_d", "up_d", "fc_d"):
        without[name] = [without[name][0] & np.uint64(0xFFFFFFFF)]
    device = on(family(honours_shift_n=NO), blobs())
    expected = outputs(graph(without), BLOBS)
    same(outputs(device.graph, BLOBS), expected)
    (shift,) = (d for d in device.deviations if d.field == "honours_shift_n")
    assert shift.layers == ("conv_d", "up_d", "fc_d")
    assert (expected["conv"] != outputs(graph(blobs()), BLOBS)["conv"]).any(), (
        "N makes a difference"
    )


def test_a_cut_deq_scale_is_the_model_with_masked_words() -> None:
    masked = blobs()
    masked["fc_d"] = [masked["fc_d"][0] & np.uint64(0xFFFFFFFFFFFFE000)]
    device = on(family(cuts_deq_scale=YES), blobs())
    same(outputs(device.graph, BLOBS), outputs(graph(masked), BLOBS))
    (cut,) = (d for d in device.deviations if d.field == "cuts_deq_scale")
    assert cut.layers == ("fc_d",), "the other scales are powers of two and lose nothing"


def test_quant_in_float16_is_numpys_float16() -> None:
    weights = blobs()
    device = on(family(quantizes_in_fp16=YES), weights)
    found = outputs(device.graph, BLOBS)
    for quant, source, blob in (
        ("quant", None, "q"),
        ("quant2", "conv", "q2"),
        ("quant3", "pool", "q3"),
    ):
        a = device.graph.node(quant).attributes
        assert isinstance(a, Quant)
        x = images()["data"] if source is None else found[source]
        # numpy rounds each operation to float16, to nearest, ties to even.
        half = x.astype(np.float16) * np.float16(a.scale) + np.float16(a.offset)
        np.testing.assert_array_equal(found[blob], np.clip(np.rint(half), -128, 127))
    assert (found["q2"] != outputs(graph(weights), BLOBS)["q2"]).any(), "float16 makes a difference"


def test_a_convolution_in_float16() -> None:
    weights = blobs()
    device = on(family(["conv"]), weights)
    found = outputs(device.graph, ["q", "conv_acc", "conv"])
    kernel, bias = weights["conv"]
    deq_scale = np.array([2.0**-9, 2.0**-8, 2.0**-10, 2.0**-7])
    x = np.pad(images()["data"].astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    expected = np.zeros((3, 4, 6, 6))
    for i in range(3):
        for j in range(3):
            taps = kernel[:, :, i, j] * (deq_scale * 8)[:, None]
            expected += np.einsum("oc,nchw->nohw", taps, x[:, :, i : i + 6, j : j + 6])
    expected += (bias * deq_scale)[:, None, None]
    # Powers of two and short inputs: float64, float32 and float16 weights hold the same numbers.
    np.testing.assert_array_equal(found["conv_acc"], expected)
    relu = np.maximum(expected.astype(np.float16), 0)
    np.testing.assert_array_equal(found["conv"], relu)
    assert found["q"].dtype == np.int8, "the Pooling still reads the Quant"


def test_a_deconvolution_in_float16() -> None:
    weights = blobs()
    device = on(family(["up"]), weights)
    found = outputs(device.graph, ["conv", "up"])
    kernel = weights["up"][0] * (np.array([2.0**-8, 2.0**-7]) * 2)[:, None, None]
    x = found["conv"].astype(np.float16).astype(np.float64)
    expected = np.einsum("nchw,coij->nohiwj", x, kernel).reshape(3, 2, 12, 12)
    np.testing.assert_array_equal(found["up"], expected.astype(np.float16))
    assert "q2" not in {value.name for node in device.graph.nodes for value in node.outputs}


def test_an_inner_product_in_float16() -> None:
    weights = blobs()
    device = on(family(["fc"]), weights)
    found = outputs(device.graph, ["pool", "fc"])
    scale = np.float32(0.0123)
    kernel = (weights["fc"][0].astype(np.float32) * (scale * np.float32(16))).astype(np.float16)
    bias = (weights["fc"][1].astype(np.float32) * scale).astype(np.float16)
    x = found["pool"].astype(np.float16).reshape(3, -1)
    exact = x.astype(np.float64) @ kernel.astype(np.float64).T + bias.astype(np.float64)
    # Sums in float32 differ from exact ones by less than a step of float16.
    step = np.spacing(np.abs(exact).astype(np.float16)).astype(np.float64)
    assert (np.abs(found["fc"] - exact) <= step).all()
    np.testing.assert_array_equal(found["fc"], found["fc"].astype(np.float16))


def test_a_pooling_behind_a_quant_of_its_own_reads_floats() -> None:
    apart = NETWORK.replace(
        'layer { name: "conv" type: "Convolution" bottom: "q"',
        """layer { name: "quant1" type: "Quant" bottom: "data" top: "q1"
             quant_param { scale: 8 offset: "\\003" } }
           layer { name: "conv" type: "Convolution" bottom: "q1\"""",
    )
    device = on(family(["pool"]), blobs(), apart)
    found = outputs(device.graph, ["pool"])
    numbers = images()["data"].astype(np.float64).reshape(3, 3, 3, 2, 3, 2)
    np.testing.assert_array_equal(found["pool"], numbers.mean(axis=(3, 5)).astype(np.float16))


def test_a_pooling_behind_a_shared_quant_reads_int8() -> None:
    device = on(family(["pool"]), blobs())
    found = outputs(device.graph, ["q", "pool"])
    numbers = ((found["q"].astype(np.float64) - 3) / 8).reshape(3, 3, 3, 2, 3, 2)
    np.testing.assert_array_equal(found["pool"], numbers.mean(axis=(3, 5)).astype(np.float16))


def test_a_shared_quant_in_float16_is_the_same_for_both_readers() -> None:
    weights = blobs()
    device = on(family(["pool"], quantizes_in_fp16=YES), weights)
    found = outputs(device.graph, ["q", "pool"])
    numbers = ((found["q"].astype(np.float64) - 3) / 8).reshape(3, 3, 3, 2, 3, 2)
    np.testing.assert_array_equal(found["pool"], numbers.mean(axis=(3, 5)).astype(np.float16))


def test_what_is_rolled_back_is_no_quantized_layer_any_more() -> None:
    simulator = Simulator.from_graph(on(family(["conv", "up"]), blobs()).graph, "reference")
    assert [layer.name for layer in simulator.quantized_layers] == ["pool", "fc"]


@pytest.mark.parametrize(
    "toy",
    [
        family(honours_shift_n=NO, cuts_deq_scale=YES),
        family(["pool", "up"]),
    ],
    ids=["words", "roll-back"],
)
def test_both_engines_compute_a_rewritten_graph_alike(toy: Any) -> None:
    pytest.importorskip("numba")
    found = on(toy, blobs()).graph
    wanted = ["q", "conv", "pool", "up", "fc"]
    same(outputs(found, wanted, "fast"), outputs(found, wanted))


FLOAT16_EVERYWHERE = {
    "dequantizes_to": Fact(FLOAT16_SCALE, "verified", "made up"),
    "floats_in_fp16": YES,
    "quantizes_in_fp16": YES,
}


@pytest.mark.parametrize(
    "facts",
    [
        {"quantizes_in_fp16": YES},
        {"floats_in_fp16": YES},
        {"dequantizes_to": Fact(FLOAT16, "verified", "made up")},
        {"dequantizes_to": Fact(FLOAT16_SCALE, "verified", "made up")},
        FLOAT16_EVERYWHERE,
    ],
    ids=lambda facts: ", ".join(facts),
)
def test_the_engines_agree(facts: Any) -> None:
    pytest.importorskip("numba")
    found = on(family(**facts), blobs()).graph
    same(outputs(found, BLOBS, "fast"), outputs(found, BLOBS))


def test_every_float_is_a_float16_where_all_is() -> None:
    found = outputs(on(family(**FLOAT16_EVERYWHERE), blobs()).graph, ["conv", "pool", "fc"])
    for array in found.values():
        np.testing.assert_array_equal(array, array.astype(np.float16).astype(np.float32))


def test_a_layer_without_a_dequant_of_its_own_is_named() -> None:
    whole = graph(blobs())
    nodes = [node for node in whole.nodes if node.name != "up_d"]
    with pytest.raises(ModelError, match="expected one DeQuant") as caught:
        as_computed_by(whole.replace(nodes), family(["up"]), "Toy")
    assert caught.value.layer == "up"


def test_a_processor_cannot_roll_back_what_is_not_quantized() -> None:
    with pytest.raises(ModelError, match="reads no Quant") as caught:
        on(family(["relu"]), blobs())
    assert caught.value.layer == "relu"


def test_a_processor_cannot_roll_back_what_is_not_there() -> None:
    with pytest.raises(PluginError, match="rolled_back named the layer 'convv'"):
        on(family(["convv"]), blobs())


def test_a_scale_out_of_range_names_the_dequant() -> None:
    weights = blobs()
    weights["up_d"] = [words([1.0, 0.0])]
    with pytest.raises(AmctError, match="deq_scale of channel 1") as caught:
        on(family(["up"]), weights)
    assert caught.value.layer == "up_d"


def test_the_report_says_what_is_known_and_what_is_not() -> None:
    toy = family(["conv"], quantizes_in_fp16=UNKNOWN, honours_shift_n=NO, cuts_deq_scale=YES)
    assert list(on(toy, blobs()).lines()) == [
        "Toy (a toy):",
        "  layers rolled back to float16: computed in float16, 1 layer (inferred; in which order "
        "the sums are taken is not public)",
        "  DeQuant and Quant: not known; computed one after the other (unknown)",
        "  DeQuant: not known; gives float32 (unknown)",
        "  Quant: not known; computed in float32 (unknown)",
        "  float layers: not known; computed in float32 (unknown)",
        "  deq_scale: cut to 19 bits, 1 layer (inferred)",
        "  shift N: ignored, 2 layers (verified)",
        "  not simulated: its clock",
    ]


def test_n_that_is_applied_is_counted_too() -> None:
    lines = list(on(family(), blobs()).lines())
    assert (
        "  shift N: applied in 3 layers as the model says, rounding down (inferred; how the "
        "processor rounds is not public)"
    ) in lines


@pytest.mark.parametrize(
    ("toy", "said"),
    [
        (family(quantizes_in_fp16=YES), "as a processor does"),
        (family(floats_in_fp16=YES), "as a processor does"),
        (family(dequantizes_to=Fact(FLOAT16, "verified", "-")), "as a processor does"),
        (family(["up"]), "'Float16' has no form"),
    ],
    ids=["Quant", "float layers", "DeQuant", "roll-back"],
)
def test_an_onnx_export_does_not_pass_over_float16(toy: Any, said: str) -> None:
    pytest.importorskip("onnx")
    from cpu_sim_backend.onnx_export import export

    with pytest.raises(ModelError, match=said):
        export(on(toy, blobs()).graph)


ONE_QUANT = """
layer { name: "data" type: "Input" top: "data" input_param { shape {
  dim: 1 dim: 1 dim: 2 dim: 2 } } }
layer { name: "quant" type: "Quant" bottom: "data" top: "q"
  quant_param { scale: 10 offset: "\\000" } }
layer { name: "conv" type: "Convolution" bottom: "q" top: "conv_acc"
  convolution_param { num_output: 1 kernel_size: 1 bias_term: false } }
layer { name: "conv_d" type: "DeQuant" bottom: "conv_acc" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "q" top: "pool_acc"
  pooling_param { pool: AVE kernel_size: 2 } }
layer { name: "pool_d" type: "DeQuant" bottom: "pool_acc" top: "pool" }
"""


@pytest.mark.inferred
@pytest.mark.parametrize(
    ("rolled_back", "expected"), [(["conv", "pool"], 20.03125), (["pool"], 12.6953125)]
)
def test_layers_with_weights_leave_a_quant_before_a_pooling_does(
    rolled_back: Any, expected: float
) -> None:
    """Alone behind the Quant, a Pooling reads what it read; else its int8, clamped at 12.7."""
    weights = {
        "conv": [np.ones((1, 1, 1, 1), np.int8)],
        "conv_d": [words([0.1])],
        "pool_d": [words([0.025])],
    }
    found = on(family(rolled_back), weights, ONE_QUANT).graph
    data = {"data": np.full((1, 1, 2, 2), 20.03125, np.float32)}
    pooled = Simulator.from_graph(found, "reference").run(data, ["pool"])["pool"]
    assert pooled.reshape(-1).tolist() == [expected]
