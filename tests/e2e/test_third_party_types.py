"""A third party makes layer types of its own quantizable, from outside.

``Pointwise`` is a Python layer of the user's: a convolution of 1 x 1 with weights of its own.  Its
sums are long enough to be split, and a BatchNorm and a Scale behind it are folded.  ``Reverse`` is
a type of Caffe that nobody else declares; it has no weights.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from digits import run_python
from third_party import install, write_distribution

from amct_caffe.model.formats.caffemodel import writer

CHANNELS, SIZE, OUTPUTS = 3000, 4, 6

PLUGIN = """
import numpy as np
from amct_core.graph.attributes import Opaque

def _shape(node, inputs):
    batch, _, *sizes = inputs[0]
    return [(batch, node.weights[0].shape[0], *sizes)]

def _convolve(weights, x):
    return np.einsum("oc,nchw->nohw", weights, x)

def _run(node, inputs):
    return [_convolve(node.weights[0], inputs[0]).astype(np.float32)]

def _accumulate(node, centered):
    result = _convolve(node.weights[0].astype(np.int64), centered.astype(np.int64))
    return result if len(node.weights) < 2 else result + node.weights[1].reshape(1, -1, 1, 1)

def _check(node, graph):
    own = node.source.parameters("python_param").string("layer") == "Pointwise"
    return None if own else "it is no Pointwise."

def _onnx_accumulate(writer, node, q, offset):
    weights = node.weights[0].astype(np.int16)[:, :, None, None] + 128
    parts = [q, writer.constant(weights, np.uint8), writer.constant(offset + 128, np.uint8)]
    sums = writer.add("ConvInteger", [*parts, writer.constant(128, np.uint8)])
    if len(node.weights) < 2:
        return sums
    bias = writer.constant(node.weights[1].reshape(1, -1, 1, 1), np.int32)
    return writer.add("Add", [sums, bias])

def _reversed(node, x):
    return np.ascontiguousarray(np.flip(x, 1))

def _reverse_onnx_accumulate(writer, node, q, offset):
    channels = writer.shape(node, node.inputs[0])[1]
    order = writer.constant(np.arange(channels)[::-1], np.int64)
    turned = writer.add("Gather", [writer.add("Cast", [q], to=6), order], axis=1)
    return writer.add("Sub", [turned, writer.constant(offset + 128, np.int32)])

@hookimpl
def amct_layer_types():
    return [
        LayerType(
            "Python",
            shape=_shape,
            weights=WeightAxes(output=0, input=1),
            folds_batch_norm=True,
            quantization=Quantization(_check, channel_wise_allowed=True),
            run=_run,
            exact=False,
            accumulate=_accumulate,
            onnx_accumulate=_onnx_accumulate,
        ),
        LayerType(
            "Reverse",
            shape=same_shape,
            sign=Sign.KEPT,
            quantization=Quantization(searches_shift=False),
            run=lambda node, inputs: [_reversed(node, inputs[0])],
            accumulate=lambda node, centered: _reversed(node, centered).astype(np.int64),
            onnx_accumulate=_reverse_onnx_accumulate,
        ),
    ]
"""

LAYER = """
import caffe
import numpy as np

class Pointwise(caffe.Layer):
    def setup(self, bottom, top):
        self.blobs.add_blob(int(self.param_str), bottom[0].channels)

    def reshape(self, bottom, top):
        shape = bottom[0].data.shape
        top[0].reshape(shape[0], self.blobs[0].data.shape[0], *shape[2:])

    def forward(self, bottom, top):
        top[0].data[...] = np.einsum("oc,nchw->nohw", self.blobs[0].data, bottom[0].data)

    def backward(self, top, propagate_down, bottom):
        diff = top[0].diff
        self.blobs[0].diff[...] += np.einsum("nohw,nchw->oc", diff, bottom[0].data)
        if propagate_down[0]:
            bottom[0].diff[...] = np.einsum("oc,nohw->nchw", self.blobs[0].data, diff)
"""

NETWORK = f"""
name: "own types"
layer {{ name: "data" type: "DummyData" top: "data" top: "target" dummy_data_param {{
  shape {{ dim: 4 dim: {CHANNELS} dim: {SIZE} dim: {SIZE} }}
  shape {{ dim: 4 dim: {OUTPUTS} dim: {SIZE} dim: {SIZE} }}
  data_filler {{ type: "gaussian" std: 1 }} data_filler {{ type: "gaussian" std: 1 }} }} }}
layer {{ name: "reverse" type: "Reverse" bottom: "data" top: "reverse"
  reverse_param {{ axis: 1 }} }}
layer {{ name: "point" type: "Python" bottom: "reverse" top: "point"
  python_param {{ module: "pointwise_layer" layer: "Pointwise" param_str: "{OUTPUTS}" }} }}
layer {{ name: "norm" type: "BatchNorm" bottom: "point" top: "norm"
  batch_norm_param {{ use_global_stats: true }} }}
layer {{ name: "scale" type: "Scale" bottom: "norm" top: "scale" }}
layer {{ name: "loss" type: "EuclideanLoss" bottom: "scale" bottom: "target" top: "loss" }}
"""

SOLVER = """
net: "net.prototxt" base_lr: 1e-6 lr_policy: "fixed" max_iter: 3 test_iter: 1 test_interval: 3
test_initialization: false snapshot_prefix: "s" random_seed: 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the network, its weights, its solver and the user's own layer."""
    folder = tmp_path_factory.mktemp("types")
    install(write_distribution(folder / "source", "own_types", PLUGIN), folder / "site")
    (folder / "pointwise_layer.py").write_text(LAYER)
    (folder / "net.prototxt").write_text(NETWORK)
    (folder / "solver.prototxt").write_text(SOLVER)
    random = np.random.default_rng(0)
    weights = random.uniform(-1, 1, (OUTPUTS, CHANNELS))
    norm = [random.normal(0, 1, OUTPUTS), random.uniform(300, 600, OUTPUTS), np.ones(1)]
    layers = [
        ("point", "Python", [weights]),
        ("norm", "BatchNorm", norm),
        ("scale", "Scale", [random.uniform(0.5, 2, OUTPUTS)]),
    ]
    with (folder / "net.caffemodel").open("wb") as stream:
        as_floats = [(name, kind, [b.astype(np.float32) for b in bs]) for name, kind, bs in layers]
        writer.write(stream, "own types", as_floats)
    x = random.normal(0, 1, (3, CHANNELS, SIZE, SIZE)).astype(np.float32)
    np.savez(folder / "x.npz", data=x)
    return folder


@pytest.fixture(scope="module")
def saved(folder: Path) -> Path:
    """Take the network through the whole workflow, in real Caffe."""
    solver = ("--solver", "solver.prototxt")
    amct(folder, "qat", "run", "net.prototxt", "net.caffemodel", *solver, "-o", "q")
    return folder


def amct(folder: Path, *arguments: str):
    paths = [str(folder / "site"), str(folder)]
    code = f"import sys; sys.path[:0] = {paths}; from amct_core.cli.main import main; main()"
    return run_python(folder, "-c", code, *arguments)


@pytest.mark.caffe
def test_both_types_are_quantized_and_the_batch_norm_is_folded(saved: Path) -> None:
    text = (saved / "q/result/model_deploy_model.prototxt").read_text()
    assert text.count('type: "DeQuant"') == 2
    assert "BatchNorm" not in text and '"Scale"' not in text


@pytest.mark.caffe
def test_long_sums_are_split_in_the_fake_quant_model(saved: Path) -> None:
    text = (saved / "q/result/model_fake_quant_model.prototxt").read_text()
    assert text.count('layer: "Pointwise"') > 1


@pytest.mark.caffe
def test_verify_finds_no_difference_to_caffe(saved: Path) -> None:
    report = json.loads(amct(saved, "verify", "q/result/model", "--data", "x.npz", "--json").stdout)
    assert report["exact_integers"]
    found = {layer["name"]: layer for layer in report["layers"]}
    assert set(found) == {"reverse", "point"}
    for layer in found.values():
        assert (layer["input_int8_mismatches"], layer["accumulator_mismatches"]) == (0, 0)
    # No sum of a moved value is longer than one value; those of Pointwise had to be split.
    assert found["reverse"]["max_abs_partial_sum_bound"] <= 255
    assert found["point"]["max_abs_partial_sum_bound"] < 2**24


@pytest.mark.caffe
def test_both_engines_and_onnx_agree(saved: Path) -> None:
    pytest.importorskip("onnxruntime")
    amct(saved, "verify", "q/result/model", "--data", "x.npz", "--against", "reference")
    arguments = ("simulate", "q/result/model")
    amct(saved, *arguments, "--onnx", "m.onnx")
    amct(saved, *arguments, "--data", "x.npz", "-o", "y.npz")
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(saved / "m.onnx"), providers=["CPUExecutionProvider"]
    )
    with np.load(saved / "x.npz") as x, np.load(saved / "y.npz") as y:
        names = list(y)
        theirs = dict(zip(names, session.run(names, {"data": x["data"]})))
        for name in names:
            np.testing.assert_array_equal(theirs[name], y[name])
