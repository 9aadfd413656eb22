"""Both networks of a report, layer by layer."""

from __future__ import annotations

import math
from pathlib import Path

import attrs
import numpy as np
import pytest

from amct_caffe.model.formats.caffemodel import writer
from amct_core.errors import ModelError, QuantizationError
from amct_core.graph import Graph
from amct_core.plugins import registries
from amct_core.ptq import workflow
from amct_core.ptq.configuration import create_ptq_config, simplified_config
from cpu_sim_backend import ArraySource, Simulator
from cpu_sim_backend.analysis.analyse import Question, analyse
from cpu_sim_backend.analysis.float32 import in_float32
from cpu_sim_backend.analysis.float_graph import float_graph
from cpu_sim_backend.analysis.model import NetworkReport
from cpu_sim_backend.analysis.networks import Networks, saved_networks
from cpu_sim_backend.ptq import SimulatorEngine

NETWORK = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 4 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_size: 3 pad: 1 stride: 2 group: 2 bias_term: false } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "scaled" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "scaled" top: "scaled" }
layer { name: "deep" type: "Convolution" bottom: "scaled" top: "deep"
  convolution_param { num_output: 6 kernel_size: 3 pad: 1 group: 6 } }
layer { name: "point" type: "Convolution" bottom: "scaled" top: "point"
  convolution_param { num_output: 6 kernel_size: 1 } }
layer { name: "sum" type: "Eltwise" bottom: "deep" bottom: "point" top: "sum" }
layer { name: "ip" type: "InnerProduct" bottom: "sum" top: "ip"
  inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""
PAIR = "net.prototxt", "net.caffemodel"
QUANTIZED = ["conv", "deep", "point", "ip"]


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


SAMPLES = normal(7, 12, 4, 8, 8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the network and what post-training quantization has saved of it."""
    folder = tmp_path_factory.mktemp("networks")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path(PAIR[0]).write_text(NETWORK)
        ones = np.ones(6, np.float32)
        blobs = {
            "conv": ("Convolution", [normal(1, 6, 2, 3, 3)]),
            "norm": ("BatchNorm", [normal(2, 6), np.abs(normal(3, 6)) + 1, ones[:1] * 2]),
            "scale": ("Scale", [normal(4, 6) + 2, normal(5, 6)]),
            "deep": ("Convolution", [normal(6, 6, 1, 3, 3), normal(8, 6)]),
            "point": ("Convolution", [normal(9, 6, 6, 1, 1), normal(10, 6)]),
            "ip": ("InnerProduct", [normal(11, 5, 96), normal(12, 5)]),
        }
        with open(PAIR[1], "wb") as stream:
            writer.write(stream, "n", [(name, *rest) for name, rest in blobs.items()])
        create_ptq_config(*PAIR, "c.json", simplified_config(batch_num=2, act_algo="min_max"))
        network = workflow.start("c.json", *PAIR, "record.txt")
        batches = [{"data": SAMPLES[:6]}, {"data": SAMPLES[6:]}]
        workflow.calibrate(network, batches, SimulatorEngine())
        workflow.save(network, "Deploy", "saved")
    return folder


@pytest.fixture
def networks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Networks:
    monkeypatch.chdir(folder)
    return saved_networks("saved", PAIR)


@pytest.fixture
def report(networks: Networks) -> NetworkReport:
    return analyse(networks, ArraySource({"data": SAMPLES}), Question("saved", "samples"))


def run(graph: Graph, blobs: list[str]) -> dict[str, np.ndarray]:
    return Simulator.from_graph(graph).run({"data": SAMPLES}, blobs)


def test_the_float_network_in_the_deployed_form_computes_the_same(networks: Networks) -> None:
    same = float_graph(networks.deployed, networks.original)
    assert [node.name for node in same.nodes if node.name in ("norm", "scale")] == []
    blobs = ["scaled", "deep", "point", "sum", "ip", "prob"]
    expected, found = run(networks.original, blobs), run(same, blobs)
    for blob in blobs:
        np.testing.assert_allclose(found[blob], expected[blob], rtol=1e-4, atol=1e-4)


def test_products_in_float32_are_near_those_of_the_simulator(networks: Networks) -> None:
    same = float_graph(networks.deployed, networks.original)
    quick = in_float32(same)
    changed = [old.name for old, new in zip(same.nodes, quick.nodes) if old.type != new.type]
    assert changed == QUANTIZED
    blobs = ["scaled", "deep", "point", "ip"]
    expected, found = run(same, blobs), run(quick, blobs)
    for blob in blobs:
        np.testing.assert_allclose(found[blob], expected[blob], rtol=1e-4, atol=1e-4)


def test_a_folded_layer_that_the_deployed_network_keeps_is_not_folded(networks: Networks) -> None:
    whole = networks.original
    assert [node.name for node in float_graph(whole, whole).nodes] == [n.name for n in whole.nodes]
    for mine, other in zip(float_graph(whole, whole).nodes, whole.nodes):
        for left, right in zip(mine.weights, other.weights):
            np.testing.assert_array_equal(left, right)


def test_another_network_is_refused(networks: Networks) -> None:
    ip = networks.original.node("ip")
    smaller = attrs.evolve(ip, weights=(ip.weights[0][:, :90], ip.weights[1]))
    nodes = [smaller if node is ip else node for node in networks.original.nodes]
    with pytest.raises(ModelError, match=r"layer 'ip'.*\(5, 90\); expected \(5, 96\)"):
        float_graph(networks.deployed, networks.original.replace(nodes))
    with pytest.raises(
        ModelError, match=r"not the float network of the quantized one.*'ip'.*Give the float"
    ):
        float_graph(networks.deployed, networks.original.replace(nodes[:-2]))


def test_a_layer_alone_is_that_layer_on_exact_input(
    networks: Networks, report: NetworkReport
) -> None:
    exact = run(networks.original, ["scaled", "sum", "ip"])
    accumulated = run(networks.deployed, ["ip"])["ip"]
    (ip,) = (layer for layer in Simulator.from_graph(networks.deployed).quantized_layers[-1:])
    steps = np.rint(exact["sum"] * ip.quant_scale + np.float32(ip.offset)).clip(-128, 127)
    centered = (steps - ip.offset).reshape(len(SAMPLES), -1).astype(np.int64)
    sums = centered @ ip.weights.astype(np.int64).T + ip.bias
    alone = sums.astype(np.float32) * ip.deq_scale
    layer = report.layer("ip")
    assert layer.alone.snr == pytest.approx(snr(exact["ip"], alone), abs=0.01)
    assert layer.accumulated.snr == pytest.approx(snr(exact["ip"], accumulated), abs=0.01)
    assert layer.integers.largest_accumulator == np.abs(sums).max()
    assert layer.integers.largest_bias == np.abs(ip.bias).max()
    assert 30 < layer.alone.snr < 60


def snr(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x.astype(np.float64), y.astype(np.float64)
    return 10 * math.log10(float((x**2).sum() / ((x - y) ** 2).sum()))


def test_the_report_has_every_layer_and_the_graph_without_quants(report: NetworkReport) -> None:
    assert [layer.name for layer in report.layers] == QUANTIZED
    assert report.samples == 12
    assert [node.name for node in report.graph if node.quantized] == QUANTIZED
    (total,) = (node for node in report.graph if node.name == "sum")
    assert total.inputs == ("deep", "point")
    assert report.findings == ()
    assert report.verdict.startswith("On 12 samples int8 decides as float in ")
    conv = report.layer("conv").weights
    assert conv is not None
    assert (conv.channel_wise, conv.retrained) == (True, False)
    assert 35 < conv.snr < 60


def test_the_batch_size_changes_nothing_but_the_order_of_sums(
    networks: Networks, report: NetworkReport
) -> None:
    question = Question("saved", "samples", batch_size=5)
    other = analyse(networks, ArraySource({"data": SAMPLES}), question)
    for mine, theirs in zip(report.layers, other.layers):
        assert mine.integers == theirs.integers
        assert mine.activation.histogram == theirs.activation.histogram
        assert mine.alone.snr == pytest.approx(theirs.alone.snr, abs=1e-3)


def test_weights_that_training_has_changed_are_told(networks: Networks) -> None:
    nodes = [
        attrs.evolve(node, weights=(node.weights[0] * np.float32(1.3), node.weights[1]))
        if node.name == "ip"
        else node
        for node in networks.original.nodes
    ]
    other = attrs.evolve(networks, original=networks.original.replace(nodes))
    found = analyse(other, ArraySource({"data": SAMPLES}), Question("saved", "samples"))
    assert [layer.name for layer in found.layers if layer.weights.retrained] == ["ip"]
    assert any("1 of 4 layers were quantized with other weights" in note for note in found.notes)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_no_number_names_the_layer(networks: Networks, value: float) -> None:
    samples = SAMPLES.copy()
    samples[3, 0, 0, 0] = value
    with pytest.raises(QuantizationError, match="layer 'conv"):
        analyse(networks, ArraySource({"data": samples}), Question("saved", "samples"))


def test_layers_of_a_processor_are_marked(networks: Networks) -> None:
    families = [family.examples[0] for family in registries().processor_families]
    assert families
    for soc_version in families:
        question = Question("saved", "samples", soc_version=soc_version)
        found = analyse(networks, ArraySource({"data": SAMPLES}), question)
        rolled_back = [f.layer for f in found.findings if f.cause == "roll-back"]
        marked = [
            layer.name
            for layer in found.layers
            if any(said.startswith("rolled back") for said in layer.on_processor)
        ]
        assert rolled_back == marked
