"""Bias correction: what it does to means, and that every saved model has it."""

from __future__ import annotations

import logging
from pathlib import Path

import attrs
import numpy as np
import pytest

from amct_core.errors import QuantizationError
from amct_core.file_names import deploy_files
from amct_core.graph import Graph, Value
from amct_core.plugins import registries
from amct_core.ptq import workflow
from amct_core.ptq.calibration import calibrate
from amct_core.ptq.from_record import quantized_model
from amct_core.ptq.improvements import bias_correction
from amct_core.ptq.improvements.bias_correction import bias_corrected
from amct_core.ptq.improvements.steps import Improvements
from amct_core.ptq.plan import make_plan
from amct_core.quantized_model import QuantizedModel
from cpu_sim_backend import Simulator
from cpu_sim_backend.ptq import SimulatorEngine
from cpu_sim_backend.verify import verify
from plugins.amct_caffe.tests.ptq import networks
from plugins.amct_caffe.tests.ptq.networks import arrays

pytest.importorskip("caffe")

pytestmark = pytest.mark.caffe

BATCHES = [arrays(seed) for seed in range(2)]
ENGINE = SimulatorEngine("reference")


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> workflow.PtqNetwork:
    monkeypatch.chdir(tmp_path)
    return workflow.start_with(networks.config(), "c.json", *networks.write(tmp_path), "record.txt")


@pytest.fixture
def model(network: workflow.PtqNetwork) -> QuantizedModel:
    return quantized(network, network.graph)


def quantized(network: workflow.PtqNetwork, graph: Graph) -> QuantizedModel:
    plan = make_plan(graph, network.config, network.record_file, registries())
    record = calibrate(plan, BATCHES, ENGINE)
    arq = registries().weight_algorithms.get("arq_retrain")
    return quantized_model(graph, record, dict.fromkeys(network.config.enabled, arq), "record.txt")


def mean_errors(model: QuantizedModel, reference: Graph, layer: str) -> np.ndarray:
    """Return the error of each channel's mean in one layer."""
    means = []
    for graph, run in ((reference, reference), (model.graph, model)):
        value = graph.node(layer).outputs[0]
        runner = ENGINE.prepare(run, [value])
        found = np.concatenate([runner(batch)[value] for batch in BATCHES]).astype(np.float64)
        means.append(np.moveaxis(found, 1, 0).reshape(found.shape[1], -1).mean(axis=1))
    return np.abs(means[0] - means[1])


def biased(model: QuantizedModel, layer: str, steps: int) -> QuantizedModel:
    """Return ``model`` with an error of so many steps in the bias of a layer."""
    layers = [
        attrs.evolve(each, bias=each.bias + np.int32(steps)) if each.name == layer else each
        for each in model.layers
    ]
    return attrs.evolve(model, layers=tuple(layers))


def test_means_are_those_of_the_float_network_to_half_a_step(model, network) -> None:
    result = bias_corrected(model, network.graph, BATCHES, ENGINE)
    for layer in result.layers:
        if layer.weights is not None:
            errors = mean_errors(result, network.graph, layer.name)
            # Half a step of the bias; what is summed in float32 adds a little.
            assert (errors <= 0.5 * layer.deq_scale + 1e-5).all(), layer.name


def test_an_error_of_an_upstream_layer_is_not_corrected_twice(model, network) -> None:
    result = bias_corrected(biased(model, "left", 20), network.graph, BATCHES, ENGINE)
    expected = bias_corrected(model, network.graph, BATCHES, ENGINE)
    for layer in ("left", "grouped", "ip"):
        np.testing.assert_allclose(result.layer(layer).bias, expected.layer(layer).bias, atol=1)


def test_only_biases_change(model, network) -> None:
    result = bias_corrected(model, network.graph, BATCHES, ENGINE)
    for before, after in zip(model.layers, result.layers):
        for field in ("weights", "deq_scale", "quant_scale", "offset", "shift_n"):
            np.testing.assert_array_equal(getattr(after, field), getattr(before, field))


def test_a_layer_whose_correction_is_too_large_is_left_and_named(
    model, network, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = biased(model, "first", 10_000_000)
    with caplog.at_level(logging.WARNING):
        result = bias_corrected(wrong, network.graph, BATCHES, ENGINE)
    assert "layer 'first': its bias is left as it is" in caplog.text
    np.testing.assert_array_equal(result.layer("first").bias, wrong.layer("first").bias)


def test_a_layer_without_bias_gets_one(model, network) -> None:
    layers = [attrs.evolve(x, bias=None) if x.name == "second" else x for x in model.layers]
    nodes = [
        attrs.evolve(n, weights=n.weights[:1]) if n.name == "second" else n
        for n in network.graph.nodes
    ]
    graph = network.graph.replace(nodes)
    without = attrs.evolve(model, graph=graph, layers=tuple(layers))
    result = bias_corrected(without, graph, BATCHES, ENGINE)
    assert result.layer("second").bias.shape == (4,)
    assert len(result.graph.node("second").weights) == 2


def test_without_data_nothing_is_corrected(model, network) -> None:
    with pytest.raises(QuantizationError, match="no calibration data"):
        bias_corrected(model, network.graph, [], ENGINE)


@pytest.mark.parametrize("equalize", [False, True])
def test_saved_models_have_the_correction_and_agree_to_the_last_bit(network, equalize) -> None:
    improvements = Improvements(equalize=equalize, bias_correction=True)
    network = workflow.prepared(network, improvements)
    workflow.calibrate(network, BATCHES, ENGINE)
    model = workflow.quantized(network)
    result = improvements.after_calibration(model, network.graph, BATCHES, ENGINE)
    workflow.save_quantized(network, result, "Both", "m")
    assert verify("m", arrays(7)).exact
    found = Simulator(*deploy_files("m")).run(arrays(7))["prob"]
    judged = ENGINE.prepare(result, [Value("prob")])(arrays(7))[Value("prob")]
    np.testing.assert_allclose(found, judged, rtol=1e-5)
    uncorrected = ENGINE.prepare(model, [Value("prob")])(arrays(7))[Value("prob")]
    assert not np.allclose(found, uncorrected, rtol=1e-5)


def test_nothing_is_improved_unless_somebody_asks(model, network) -> None:
    assert Improvements().before_calibration(network.graph) is network.graph
    assert Improvements().after_calibration(model, network.graph, BATCHES, ENGINE) is model


def test_the_guard_is_the_documented_one() -> None:
    assert bias_correction.LARGEST == 2
