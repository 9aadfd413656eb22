"""DeQuant merged with the Quants behind it, on both engines: the worked examples, in a network.

Source of the numbers: the fact sheet ``ascend-device-numerics.md``, section 7.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

import attrs
import numpy as np
import pytest

from amct_core.errors import ModelError, QuantizationError
from amct_core.extensions import Fact, Merged, ProcessorFamily
from amct_core.extensions.processor_family import FLOAT16, FLOAT16_SCALE, MERGED, REQUANTIZED
from amct_core.graph import Graph
from cpu_sim_backend import Simulator
from cpu_sim_backend.device import as_computed_by
from plugins.cpu_sim_backend.tests.device.toy import YES, family, graph, words

ENGINES = "reference", "fast"


def sums(name: str, channels: int) -> str:
    """Return a layer whose accumulators are its bias, and its DeQuant."""
    return f"""
layer {{ name: "{name}" type: "InnerProduct" bottom: "q" top: "{name}_acc"
  inner_product_param {{ num_output: {channels} }} }}
layer {{ name: "{name}_d" type: "DeQuant" bottom: "{name}_acc" top: "{name}" }}
"""


def quant(name: str, bottom: str, scale: float, offset: int, channels: int) -> str:
    """Return a Quant and a quantized layer that reads it."""
    (byte,) = np.array([offset], np.int8).view(np.uint8)
    return f"""
layer {{ name: "{name}" type: "Quant" bottom: "{bottom}" top: "{name}_q"
  quant_param {{ scale: {scale} offset: "\\{byte:03o}" }} }}
layer {{ name: "{name}_fc" type: "InnerProduct" bottom: "{name}_q" top: "{name}_fc_acc"
  inner_product_param {{ num_output: {channels} bias_term: false }} }}
layer {{ name: "{name}_fc_d" type: "DeQuant" bottom: "{name}_fc_acc" top: "{name}_fc" }}
"""


HEAD = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 } } }
layer { name: "quant" type: "Quant" bottom: "data" top: "q"
  quant_param { scale: 1 offset: "\\000" } }
"""
RELU = 'layer { name: "relu" type: "ReLU" bottom: "fc" top: "fc" }'


def blobs(accumulators: Sequence[int], word: Any) -> List[Any]:
    """Return weights of 0 and a bias."""
    return [np.zeros((len(accumulators), 1), np.int8), np.array(accumulators, np.int32)]


def one_layer(
    accumulators: Sequence[int],
    word: Any,
    between: str = "",
    quants: Optional[Dict[str, Any]] = None,
) -> Graph:
    """Return DeQuant, what is between, and Quants of ``{name: (scale, offset)}``."""
    count = len(accumulators)
    weights = {"fc": blobs(accumulators, word), "fc_d": [word]}
    text = HEAD + sums("fc", count) + between
    for name, (scale, offset) in (quants or {}).items():
        text += quant(name, "fc", scale, offset, 1)
        weights[f"{name}_fc"] = [np.ones((1, count), np.int8)]
        weights[f"{name}_fc_d"] = [words([1.0])]
    return graph(weights, text)


def v100(merged: Sequence[Merged] = ()) -> ProcessorFamily:
    """Return a processor of ISA v100."""
    facts = {"dequantizes_to": said(FLOAT16_SCALE), "merges": said(MERGED)}
    return attrs.evolve(family(quantizes_in_fp16=YES), **facts, merged=lambda graph: merged)


def v200(merged: Sequence[Merged] = ()) -> ProcessorFamily:
    """Return a processor of ISA v200."""
    facts = {"dequantizes_to": said(FLOAT16), "merges": said(REQUANTIZED)}
    return attrs.evolve(family(quantizes_in_fp16=YES), **facts, merged=lambda graph: merged)


def said(value: str) -> Fact[str]:
    return Fact(value, "inferred", "made up")


def run(graph: Graph, toy: ProcessorFamily, engine: str, *wanted: str) -> List[List[float]]:
    """Return blobs as ``toy`` computes them."""
    device = as_computed_by(graph, toy, "Toy")
    simulator = Simulator.from_graph(device.graph, engine, threads=1)
    found = simulator.run({"data": np.zeros((1, 1), np.float32)}, wanted)
    return [found[blob].reshape(-1).tolist() for blob in wanted]


def merged(quants: Sequence[str], scale: float, offset: int, keeps_relu: bool = False) -> Merged:
    return Merged(("fc_d",), tuple(quants), (), None, scale, offset, keeps_relu)


@pytest.mark.inferred
@pytest.mark.parametrize("engine", ENGINES)
def test_v100_merged_with_a_relu(engine: str) -> None:
    network = one_layer(
        [0, 500, 1000, 1234, 1902, -77, 5000], words([0.0031]), RELU, {"two": (42.5, -128)}
    )
    y, q = run(network, v100([merged(["two"], 42.5, -128)]), engine, "fc", "two_q")
    assert y == [0, 65.875, 131.75, 162.5, 250.5, 0, 658.5]
    assert q == [-128, -62, 4, 34, 122, -128, 127]


@pytest.mark.inferred
@pytest.mark.parametrize("engine", ENGINES)
def test_v100_a_root_of_the_scale_for_all_channels(engine: str) -> None:
    network = one_layer([1234, -987654], words([0.0123, 0.00004]))
    assert run(network, v100(), engine, "fc") == [[15.1796875, -39.53125]]


@pytest.mark.inferred
@pytest.mark.parametrize("engine", ENGINES)
def test_v100_saturates_between_the_two_products(engine: str) -> None:
    network = one_layer([12_000_000], words([0.00006]))
    assert run(network, v100(), engine, "fc") == [[507.5]]


@pytest.mark.inferred
@pytest.mark.parametrize("engine", ENGINES)
def test_v200_requantized_with_a_relu_is_exact(engine: str) -> None:
    accumulators = list(range(2000))
    network = one_layer(accumulators, words([0.0031]), RELU, {"two": (42.5, -128)})
    (q,) = run(network, v200([merged(["two"], 42.5, -128)]), engine, "two_q")
    (exact,) = run(network, family(), engine, "two_q")
    assert q == exact


@pytest.mark.inferred
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("offset", "expected"), [(-127, [-127, -125, -125]), (-128, [-128, -126, -126])]
)
def test_v200_adds_the_offset_behind_the_rounding(
    engine: str, offset: int, expected: List[int]
) -> None:
    network = one_layer([1, 3, 5], words([0.5]), "", {"two": (1.0, offset)})
    assert run(network, v200([merged(["two"], 1.0, offset)]), engine, "two_q") == [expected]


@pytest.mark.inferred
@pytest.mark.parametrize("engine", ENGINES)
def test_v200_with_n(engine: str) -> None:
    accumulators = [1000, -1001, 12345, 600000, -600000]
    network = one_layer(accumulators, words([0.0005], 4), "", {"two": (10.0, 0)})
    (q,) = run(network, v200([merged(["two"], 10.0, 0)]), engine, "two_q")
    assert q == [5, -5, 62, 127, -128]
    (y,) = run(network, v200(), engine, "fc")
    assert y == [0.49609375, -0.50390625, 6.16796875, 262.25, -262.25]


@pytest.mark.parametrize("engine", ENGINES)
def test_v200_the_offset_of_the_last_quant_is_added_for_all(engine: str) -> None:
    """So the layer behind the other one, which takes off its own offset, is wrong."""
    quants = {"two": (1.0, 3), "three": (1.0, -5)}
    network = one_layer([10, 20], words([1.0]), "", quants)
    toy = v200([merged(["two", "three"], 1.0, -5)])
    two, three, first, second = run(network, toy, engine, "two_q", "three_q", "two_fc", "three_fc")
    assert (two, three) == ([5, 15], [5, 15])
    assert (first, second) == ([5 - 3 + 15 - 3], [30])


@pytest.mark.parametrize("engine", ENGINES)
def test_v100_each_quant_adds_its_own_offset(engine: str) -> None:
    quants = {"two": (1.0, 3), "three": (1.0, -5)}
    network = one_layer([10, 20], words([1.0]), "", quants)
    toy = v100([merged(["two", "three"], 1.0, -5)])
    first, second = run(network, toy, engine, "two_fc", "three_fc")
    assert first == second == [30]


@pytest.mark.parametrize("engine", ENGINES)
def test_v200_a_relu_that_stays_reads_float16(engine: str) -> None:
    leaky = RELU.replace('top: "fc"', 'top: "fc" relu_param { negative_slope: 0.25 }')
    network = one_layer([-7, 1234], words([0.0031]), leaky, {"two": (42.5, 0)})
    y, q = run(network, v200([merged(["two"], 42.5, 0, True)]), engine, "fc", "two_q")
    factor = np.float32(np.float32(0.0031) * np.float32(42.5))
    expected = (np.array([-7, 1234]) * np.float64(factor)).astype(np.float16)
    expected[0] /= 4
    assert y == expected.astype(np.float32).tolist()
    assert q == np.rint(np.clip(expected, -128, 127)).tolist()


def relu6(scale: float, offset: int, keeps: bool) -> Merged:
    return Merged(("fc_d",), ("two",), ("relu",), None, scale, offset, keeps)


@pytest.mark.inferred
@pytest.mark.parametrize("engine", ENGINES)
def test_v100_the_limit_of_a_relu6_is_in_the_units_of_the_quant(engine: str) -> None:
    """E7: deq_scale 0.01, scale 20, offset -120."""
    between = RELU.replace("ReLU", "ReLU6")
    network = one_layer([100, 590, 650], words([0.01]), between, {"two": (20.0, -120)})
    y, q = run(network, v100([relu6(20.0, -120, True)]), engine, "fc", "two_q")
    assert y == [20, 118, 120]
    assert q == [-100, -2, 0]


@pytest.mark.inferred
@pytest.mark.parametrize("engine", ENGINES)
def test_v200_a_relu6_that_stays_has_its_limit_in_the_same_units(engine: str) -> None:
    between = RELU.replace("ReLU", "ReLU6")
    network = one_layer([-50, 100, 650], words([0.01]), between, {"two": (20.0, -120)})
    y, q = run(network, v200([relu6(20.0, -120, True)]), engine, "fc", "two_q")
    assert y == [0, 20, 120]
    assert q == [-120, -100, 0]


@pytest.mark.inferred
@pytest.mark.parametrize("engine", ENGINES)
def test_v200_a_relu6_that_goes_leaves_a_relu(engine: str) -> None:
    between = RELU.replace("ReLU", "ReLU6")
    network = one_layer([-50, 100, 650], words([0.01]), between, {"two": (20.0, -120)})
    (q,) = run(network, v200([relu6(20.0, -120, False)]), engine, "two_q")
    assert q == [-120, -100, 10]


CONCAT = 'layer { name: "concat" type: "Concat" bottom: "fc" bottom: "b" top: "cat" }'


@pytest.mark.inferred
@pytest.mark.parametrize("engine", ENGINES)
def test_v100_each_branch_of_a_concat_decides_about_the_root_itself(engine: str) -> None:
    weights = {
        "fc": blobs([700, -300], None),
        "fc_d": [words([0.01, 0.02])],
        "b": blobs([900000, 55], None),
        "b_d": [words([0.000005, 0.03])],
        "two_fc": [np.ones((1, 4), np.int8)],
        "two_fc_d": [words([1.0])],
    }
    text = HEAD + sums("fc", 2) + sums("b", 2) + CONCAT + quant("two", "cat", 8.0, 0, 1)
    both = Merged(("fc_d", "b_d"), ("two",), (), "concat", 8.0, 0)
    cat, q = run(graph(weights, text), v100([both]), engine, "cat", "two_q")
    assert cat == [56, -48, 36, 13.203125]
    assert q == [56, -48, 36, 13]


def test_what_is_merged_must_be_there() -> None:
    network = one_layer([1], words([1.0]), RELU, {"two": (1.0, 0)})
    wrong = Merged(("relu",), ("two",), (), None, 1.0, 0)
    with pytest.raises(ModelError, match="to be merged as DeQuant") as caught:
        as_computed_by(network, v200([wrong]), "Toy")
    assert caught.value.layer == "relu"


TWO_QUANTS = (
    HEAD.replace("dim: 1 dim: 1 }", "dim: 1 dim: 1 dim: 2 dim: 2 }")
    + """
layer { name: "a" type: "Convolution" bottom: "q" top: "a_acc"
  convolution_param { num_output: 1 kernel_size: 1 } }
layer { name: "a_d" type: "DeQuant" bottom: "a_acc" top: "a" }
layer { name: "two" type: "Quant" bottom: "a" top: "two_q"
  quant_param { scale: 1 offset: "\\024" } }
layer { name: "three" type: "Quant" bottom: "a" top: "three_q"
  quant_param { scale: 1 offset: "\\354" } }
layer { name: "pool" type: "Pooling" bottom: "two_q" top: "pool_acc"
  pooling_param { pool: AVE kernel_size: 2 } }
layer { name: "pool_d" type: "DeQuant" bottom: "pool_acc" top: "pool" }
layer { name: "c" type: "Convolution" bottom: "two_q" top: "c_acc"
  convolution_param { num_output: 1 kernel_size: 1 bias_term: false } }
layer { name: "c_d" type: "DeQuant" bottom: "c_acc" top: "c" }
layer { name: "e" type: "Convolution" bottom: "three_q" top: "e_acc"
  convolution_param { num_output: 1 kernel_size: 1 bias_term: false } }
layer { name: "e_d" type: "DeQuant" bottom: "e_acc" top: "e" }
"""
)
ONE = np.ones((1, 1, 1, 1), np.int8)


@pytest.mark.inferred
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("make", "expected"), [(v100, 107), (v200, 80)], ids=["v100", "v200"])
def test_a_pooling_that_is_rolled_back_reads_what_its_own_quant_has_become(
    engine: str, make: Any, expected: int
) -> None:
    """v100: 120 + 20 saturates; v200: the Quants gave 120 - 20, and AntiQuant takes 20 off."""
    weights = {
        "a": [np.zeros_like(ONE), np.array([120], np.int32)],
        "a_d": [words([1.0])],
        "pool_d": [words([0.25])],
        "c": [ONE],
        "c_d": [words([1.0])],
        "e": [ONE],
        "e_d": [words([1.0])],
    }
    both = Merged(("a_d",), ("two", "three"), (), None, 1.0, -20)
    facts = family(["pool"])
    toy = attrs.evolve(make([both]), rolls_back=YES, rolled_back=facts.rolled_back)
    device = as_computed_by(graph(weights, TWO_QUANTS), toy, "Toy")
    data = {"data": np.zeros((1, 1, 2, 2), np.float32)}
    found = Simulator.from_graph(device.graph, engine, threads=1).run(data, ["pool"])
    assert found["pool"].reshape(-1).tolist() == [expected]


def test_the_engines_refuse_n_in_some_channels_only() -> None:
    network = one_layer([1, 2], np.array([words([1.0], 2)[0], words([1.0])[0]]))
    for engine in ENGINES:
        with pytest.raises(QuantizationError, match="shift N of channel 1 is 0"):
            run(network, v200(), engine, "fc")
