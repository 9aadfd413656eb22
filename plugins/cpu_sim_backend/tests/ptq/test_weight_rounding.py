"""Rounding of weights by what layers read: layers as products, errors, and the saved models."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from amct_caffe.model.formats.caffemodel import writer
from amct_core.cli.main import cli
from amct_core.errors import PluginError, QuantizationError
from amct_core.extensions import WeightRounding
from amct_core.graph import Node
from amct_core.numerics.adaround import AdaRound
from amct_core.plugins import registries
from amct_core.ptq import configuration, workflow
from amct_core.ptq.improvements import unfolding
from amct_core.ptq.improvements.weight_rounding import with_rounding
from amct_core.quantized_model import QuantizedModel
from cpu_sim_backend.ptq import SimulatorEngine
from cpu_sim_backend.verify import verify

Array = NDArray[Any]

FILES = "net.prototxt", "net.caffemodel"
NETWORK = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 4 dim: 9 dim: 8 } } }
layer { name: "plain" type: "Convolution" bottom: "data" top: "plain"
  convolution_param { num_output: 6 kernel_h: 3 kernel_w: 2 pad_h: 1 stride_h: 2 stride_w: 1 } }
layer { name: "relu" type: "ReLU" bottom: "plain" top: "plain" }
layer { name: "grouped" type: "Convolution" bottom: "plain" top: "grouped"
  convolution_param { num_output: 4 kernel_size: 3 group: 2 pad: 2 dilation: 2 } }
layer { name: "each" type: "Convolution" bottom: "grouped" top: "each"
  convolution_param { num_output: 4 kernel_size: 3 group: 4 bias_term: false } }
layer { name: "up" type: "Deconvolution" bottom: "each" top: "up"
  convolution_param { num_output: 3 kernel_size: 2 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "up" top: "ip"
  inner_product_param { num_output: 5 } }
"""
SHAPES = {
    "plain": ("Convolution", (6, 4, 3, 2)),
    "grouped": ("Convolution", (4, 3, 3, 3)),
    "each": ("Convolution", (4, 1, 3, 3)),
    "up": ("Deconvolution", (4, 3, 2, 2)),
    "ip": ("InnerProduct", (5, 3 * 6 * 10)),
}
ENGINE = SimulatorEngine("reference")
ADAROUND = WeightRounding("adaround", AdaRound)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with a network and samples."""
    monkeypatch.chdir(tmp_path)
    Path(FILES[0]).write_text(NETWORK)
    generator = np.random.default_rng(3)
    layers = []
    for name, (kind, shape) in SHAPES.items():
        blobs = [generator.normal(size=shape).astype("f")]
        if name != "each":
            blobs.append(generator.normal(size=_outputs(kind, shape)))
        layers.append((name, kind, [np.asarray(blob, np.float32) for blob in blobs]))
    with open(FILES[1], "wb") as stream:
        writer.write(stream, "net", layers)
    np.savez("x.npz", data=samples(12))
    return tmp_path


def _outputs(kind: str, shape: tuple[int, ...]) -> int:
    return shape[1] if kind == "Deconvolution" else shape[0]


def samples(count: int, seed: int = 4) -> Array:
    """Return samples whose channels resemble each other, as those of images do."""
    generator = np.random.default_rng(seed)
    common = generator.normal(size=(count, 1, 9, 8))
    return (common + 0.3 * generator.normal(size=(count, 4, 9, 8))).astype(np.float32)


BATCHES = [{"data": samples(12)[start : start + 4]} for start in (0, 4, 8)]


@pytest.fixture
def network(folder: Path) -> workflow.PtqNetwork:
    simplified = configuration.simplified_config(batch_num=3, act_algo="mse")
    configuration.create_ptq_config(*FILES, "c.json", simplified)
    return workflow.start("c.json", *FILES, "record.txt")


@pytest.fixture
def model(network: workflow.PtqNetwork) -> QuantizedModel:
    workflow.calibrate(network, BATCHES, ENGINE)
    return workflow.quantized(network)


def output(node: Node, x: Array) -> Array:
    assert node.type.run is not None
    found: Array = node.type.run(node, [x])[0]
    return found


@pytest.mark.parametrize("name", ["plain", "grouped", "each", "ip"])
def test_rows_times_columns_is_what_the_layer_computes(network, name: str) -> None:
    node = network.graph.node(name)
    shape = ENGINE.prepare(network.graph, [node.inputs[0]])(BATCHES[0])[node.inputs[0]].shape
    x = np.random.default_rng(5).normal(size=shape).astype(np.float32)
    product = np.matmul(unfolding.rows(node, node.weights[0]), unfolding.columns(node, x))
    expected = output(node, x)
    expected = np.moveaxis(expected, 1, 0).reshape(expected.shape[1], -1)
    bias = node.weights[1] if len(node.weights) > 1 else np.zeros(len(expected))
    found = product.reshape(expected.shape) + bias[:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def layer_errors(model: QuantizedModel, upstream: QuantizedModel) -> dict[str, Any]:
    """Return by layer the squared error of each of its outputs, computed by running the layers.

    Both the float layer and that of integers read what ``upstream`` gives in integers.
    """
    found = {}
    for layer in model.layers:
        node = upstream.graph.node(layer.name)
        value = layer.input_value
        run = ENGINE.prepare(upstream, [value])
        error: Any = 0.0
        for batch in BATCHES:
            x = run(batch)[value].astype(np.float64)
            q = np.clip(np.rint(x * layer.quant_scale + layer.offset), -128, 127) - layer.offset
            x_q = q * np.float64(layer.provenance.scale_d)
            squares = np.square(output(in_integers(layer, node), x_q) - output(node, x_q))
            error = error + np.moveaxis(squares, 1, 0).reshape(squares.shape[1], -1).sum(axis=1)
        found[layer.name] = error
    return found


def in_integers(layer: Any, node: Node) -> Node:
    """Return the layer with the weights that its integers stand for; its bias is in float."""
    along = [1] * layer.weights.ndim
    along[1 if node.op == "Deconvolution" else 0] = -1
    weights = layer.weights * layer.provenance.scale_w.astype(np.float64).reshape(along)
    return attrs.evolve(node, weights=(weights, *node.weights[1:]))


def test_no_layer_has_a_larger_error_and_integers_move_by_one_step(
    model, network, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        rounded = with_rounding(model, BATCHES, ENGINE, ADAROUND)
    assert "layer 'up': its weights are rounded to the nearest" in caplog.text
    before, after = layer_errors(model, rounded), layer_errors(rounded, rounded)
    for old, new in zip(model.layers, rounded.layers):
        moved = np.abs(new.weights.astype(int) - old.weights)
        assert moved.max() == (0 if new.name == "up" else 1)
        for field in ("bias", "deq_scale", "quant_scale", "offset", "shift_n"):
            np.testing.assert_array_equal(getattr(new, field), getattr(old, field))
        assert (after[new.name] <= before[new.name] * (1 + 1e-5)).all()
    assert after["plain"].sum() < 0.9 * before["plain"].sum()


def test_without_data_the_layer_is_named(model, network) -> None:
    with pytest.raises(QuantizationError, match="no data to learn") as error:
        with_rounding(model, [], ENGINE, ADAROUND)
    assert error.value.layer == "plain"


class Wrong:
    """Gives what it was told to give."""

    made: Any = None

    def __init__(self, weights: Array, scale_w: Array, nearest: Array) -> None:
        self.nearest = nearest

    def observe(self, columns: Array) -> None:
        pass

    def result(self) -> Any:
        return Wrong.made(self.nearest)


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (lambda nearest: None, "None"),
        (lambda nearest: nearest.astype(np.int16), r"int16 \(1, 6, 24\)"),
        (lambda nearest: nearest[:, :3], r"int8 \(1, 3, 24\)"),
        (lambda nearest: nearest // 2, r"each at most 1 from the nearest"),
    ],
)
def test_a_plugin_that_gives_other_integers_is_named(
    model, network, monkeypatch: pytest.MonkeyPatch, made: Any, found: str
) -> None:
    monkeypatch.setattr(Wrong, "made", made)
    with pytest.raises(PluginError, match=found) as error:
        with_rounding(model, BATCHES, ENGINE, WeightRounding("wrong", Wrong))
    assert "weight rounding 'wrong'" in str(error.value)
    assert "layer 'plain'" in str(error.value)


def amct(*arguments: str) -> tuple[int, str]:
    """Run ``amct``; return the exit status and what it printed."""
    done = CliRunner().invoke(cli, arguments, prog_name="amct")
    shown = done.output if done.exception is None else f"{done.output}{done.exception}"
    return done.exit_code, " ".join(shown.split())


RUN = ("ptq", "run", *FILES, "--data", "x.npz", "--batch-num", "3", "--engine", "simulator")
ENDS = "deploy_weights.caffemodel", "fake_quant_weights.caffemodel"


def saved(folder: str) -> list[bytes]:
    return [Path(f"{folder}/result/model_{end}").read_bytes() for end in ENDS]


def test_the_command_writes_other_weights_the_same_each_time(folder: Path) -> None:
    rounding = ("--weight-rounding", "adaround")
    for name, options in (("plain", ()), ("one", rounding), ("two", rounding)):
        status, out = amct(*RUN, "-o", name, *options)
        assert status == 0, out
    assert saved("one") == saved("two")
    assert all(one != plain for one, plain in zip(saved("one"), saved("plain")))
    assert Path("one/record.txt").read_text() == Path("plain/record.txt").read_text()
    assert verify("one/result/model", {"data": samples(3, 6)}, against="reference").passed


def test_an_unknown_rounding_is_refused_before_anything_is_written(folder: Path) -> None:
    status, out = amct(*RUN, "-o", "o", "--weight-rounding", "nothing")
    assert status == 1
    assert "nothing" in out and "adaround" in out
    assert not Path("o").exists()


def test_rounding_without_data_is_refused(folder: Path) -> None:
    status, out = amct("ptq", "run", *FILES, "-o", "o", "--weight-rounding", "adaround")
    assert status == 1
    assert "the rounding of weights runs in the simulator" in out


def test_it_comes_with_the_core() -> None:
    assert registries().weight_roundings.provider("adaround") == "amct-core"


@pytest.mark.caffe
def test_saved_models_agree_in_caffe_to_the_last_bit(folder: Path) -> None:
    pytest.importorskip("caffe")
    options = ("--equalize", "--bias-correction", "--weight-rounding", "adaround")
    status, out = amct(*RUN, "-o", "o", *options)
    assert status == 0, out
    assert verify("o/result/model", {"data": samples(3, 6)}).exact
