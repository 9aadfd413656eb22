"""Networks by their losses and heads, from training in Caffe to what is deployed.

Kinds of network after BVLC/caffe#137, #959, #1451 and #6579, wy1iu/LargeMargin_Softmax_Loss#11 and
NVIDIA/DIGITS#11.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from amct_caffe.model.formats.prototxt import document as documents
from amct_core import workflow
from amct_core.errors import AmctError
from cpu_sim_backend import Simulator
from cpu_sim_backend.verify import verify
from tests.conformance.runner import SOLVER, deployable, pretend_training
from tests.conformance.weights import write_random_weights

SIZE = "dim: 4 dim: 3 dim: 6 dim: 6"


def data(name: str = "data", dims: str = SIZE, filler: str = "gaussian") -> str:
    return (
        f'layer {{ name: "{name}" type: "DummyData" top: "{name}" dummy_data_param {{ '
        f'shape {{ {dims} }} data_filler {{ type: "{filler}" }} }} }}\n'
    )


def layer(kind: str, bottoms: str, top: str, fields: str = "") -> str:
    names = " ".join(f'bottom: "{name}"' for name in bottoms.split())
    tops = " ".join(f'top: "{name}"' for name in top.split())
    return f'layer {{ name: "{top.split()[0]}" type: "{kind}" {names} {tops} {fields} }}\n'


def convolution(bottom: str, top: str, outputs: int = 4) -> str:
    size = f"num_output: {outputs} kernel_size: 3 pad: 1"
    return layer("Convolution", bottom, top, f"convolution_param {{ {size} }}")


def inner_product(bottom: str, top: str, outputs: int = 3) -> str:
    return layer("InnerProduct", bottom, top, f"inner_product_param {{ num_output: {outputs} }}")


LABEL = data("label", "dim: 4", "constant")
TRUNK = (
    data()
    + convolution("data", "conv")
    + layer("ReLU", "conv", "conv").replace('name: "conv"', 'name: "relu"')
)
HALF_SQUARE = """
import caffe

class HalfSquare(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        labels = bottom[1].data.reshape(-1, 1)
        self.difference = (bottom[0].data - labels) / bottom[0].data.size
        top[0].data[...] = (self.difference**2).sum() / 2

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = self.difference
"""


@attrs.frozen
class Expected:
    """A network, the layers that must be quantized, and the outputs that must be deployed."""

    network: str
    quantized: tuple[str, ...]
    outputs: tuple[str, ...]
    inputs: tuple[str, ...] = ("data",)


def _siamese() -> str:
    branches = ""
    for end in ("", "_p"):
        branches += data(f"data{end}") + convolution(f"data{end}", f"conv{end}")
        branches += inner_product(f"conv{end}", f"feature{end}", 2)
    return branches + LABEL + layer("ContrastiveLoss", "feature feature_p label", "loss")


CASES = {
    "siamese, second bottom": Expected(
        _siamese(),
        ("conv", "feature", "conv_p", "feature_p"),
        ("feature", "feature_p"),
        ("data", "data_p"),
    ),
    "autoencoder, second bottom": Expected(
        TRUNK + convolution("conv", "decoded", 3) + layer("EuclideanLoss", "data decoded", "loss"),
        ("conv", "decoded"),
        ("decoded",),
    ),
    "label first, of the same layer as the data": Expected(
        'layer { name: "source" type: "DummyData" top: "data" top: "label" dummy_data_param { '
        f'shape {{ {SIZE} }} shape {{ dim: 4 dim: 3 }} data_filler {{ type: "gaussian" }} '
        'data_filler { type: "gaussian" } } }\n'
        + inner_product("data", "ip")
        + layer("EuclideanLoss", "label ip", "loss"),
        ("ip",),
        ("ip",),
    ),
    "a Python loss": Expected(
        TRUNK
        + LABEL
        + inner_product("conv", "ip")
        + layer(
            "Python",
            "ip label",
            "loss",
            'loss_weight: 1 python_param { module: "half_square" layer: "HalfSquare" }',
        ),
        ("conv", "ip"),
        ("ip",),
    ),
    "a loss of Eltwise and Reduction": Expected(
        TRUNK
        + data("target", "dim: 4 dim: 3", "constant")
        + inner_product("conv", "ip")
        + layer("Eltwise", "ip target", "d", "eltwise_param { coeff: 1 coeff: -1 }")
        + layer("Reduction", "d", "loss", "loss_weight: 1 reduction_param { operation: SUMSQ }"),
        ("conv", "ip"),
        ("ip",),
    ),
    "auxiliary head, main head": Expected(
        TRUNK
        + LABEL
        + inner_product("conv", "aux")
        + layer("SoftmaxWithLoss", "aux label", "loss1", "loss_weight: 0.3")
        + convolution("conv", "conv2")
        + inner_product("conv2", "ip")
        + layer("SoftmaxWithLoss", "ip label", "loss2")
        + layer("Accuracy", "ip label", "accuracy", "include { phase: TEST }"),
        ("conv", "aux", "conv2", "ip"),
        ("loss1", "prob"),
    ),
    "a Softmax beside its loss": Expected(
        TRUNK
        + LABEL
        + inner_product("conv", "ip")
        + layer("SoftmaxWithLoss", "ip label", "loss")
        + layer("Softmax", "ip", "scores", "include { phase: TEST }"),
        ("conv", "ip"),
        ("scores",),
    ),
    "a constant that a layer reads": Expected(
        TRUNK
        + data("ones", SIZE.replace("3", "4"), "constant")
        + layer("Eltwise", "conv ones", "sum")
        + inner_product("sum", "ip")
        + LABEL
        + layer("SoftmaxWithLoss", "ip label", "loss"),
        ("conv", "ip"),
        ("prob",),
    ),
}


def insert(folder: Path, network: str) -> None:
    """Write the network, its weights and config, and insert into all layers that qualify."""
    (folder / "net.prototxt").write_text(network)
    model, weights = str(folder / "net.prototxt"), str(folder / "net.caffemodel")
    write_random_weights(model, Path(weights))
    workflow.create_config(model, weights, str(folder / "c.json"))
    modified = [str(folder / f"modified.{end}") for end in ("prototxt", "caffemodel")]
    workflow.insert(model, weights, str(folder / "c.json"), *modified, str(folder / "record.txt"))


def train(folder: Path) -> None:
    from amct_caffe.runtime.pycaffe import caffe

    text = SOLVER.format(net=folder / "modified.prototxt", prefix=folder / "s")
    (folder / "solver.prototxt").write_text(text.replace("0.001", "0"))
    solver = caffe.get_solver(str(folder / "solver.prototxt"))
    solver.net.copy_from(str(folder / "modified.caffemodel"))
    solver.solve()
    solver.net.save(str(folder / "snapshot.caffemodel"))


def save(folder: Path) -> str:
    prefix = str(folder / "saved")
    names = ("modified.prototxt", "snapshot.caffemodel")
    files = [str(folder / name) for name in names]
    workflow.save(*files, prefix, "Both", str(folder / "record.txt"), str(folder / "c.json"))
    return prefix


@pytest.mark.caffe
@pytest.mark.parametrize("name", CASES)
def test_what_predicts_is_deployed_and_exact(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    (tmp_path / "half_square.py").write_text(HALF_SQUARE)
    monkeypatch.syspath_prepend(str(tmp_path))
    insert(tmp_path, case.network)
    train(tmp_path)
    prefix = save(tmp_path)
    random = np.random.default_rng(1)
    arrays = {blob: random.normal(0, 1, (4, 3, 6, 6)) for blob in case.inputs}
    report = verify(prefix, {blob: x.astype(np.float32) for blob, x in arrays.items()})
    assert tuple(each.name for each in report.layers) == case.quantized
    assert {output.blob for output in report.outputs} == set(case.outputs)
    assert report.exact
    assert fed(prefix) == case.inputs


def test_constants_have_one_batch_size(tmp_path: Path) -> None:
    insert(tmp_path, CASES["a constant that a layer reads"].network)
    pretend_training(tmp_path)
    simulator = Simulator(*deployable(save(tmp_path)))
    random = np.random.default_rng(1)
    with pytest.raises(AmctError, match="constants for a batch of 4, and input 'data' has a batch"):
        simulator.run({"data": random.normal(0, 1, (3, 3, 6, 6))})


def fed(prefix: str) -> tuple[str, ...]:
    layers = documents.read(deployable(prefix)[0]).layers
    return tuple(each.name for each in layers if each.type == "Input")


def test_a_layer_that_only_labels_go_through_is_not_quantized(tmp_path: Path) -> None:
    pooled = layer("Pooling", "map", "small", "pooling_param { pool: AVE kernel_size: 2 }")
    network = data() + inner_product("data", "ip", 4) + data("map", "dim: 4 dim: 1 dim: 4 dim: 4")
    insert(tmp_path, network + pooled + layer("EuclideanLoss", "ip small", "loss"))
    config = tmp_path / "c.json"
    entries = json.loads(config.read_text())
    assert "ip" in entries
    assert "small" not in entries
    config.write_text(json.dumps({**entries, "small": {"retrain_enable": True}}))
    with pytest.raises(AmctError, match="it is not deployed: only losses and scores need it"):
        workflow.insert(*(str(tmp_path / n) for n in FILES_OF_INSERT))


FILES_OF_INSERT = (
    *("net.prototxt", "net.caffemodel", "c.json", "modified.prototxt", "modified.caffemodel"),
    "record.txt",
)


@pytest.mark.parametrize("save_type", ["Fakequant", "Deploy"])
def test_save_refuses_to_lose_a_quantized_layer(tmp_path: Path, save_type: str) -> None:
    pooled = layer("Pooling", "data", "pool", "pooling_param { pool: AVE kernel_size: 2 }")
    insert(tmp_path, TRUNK + pooled + layer("Power", "pool", "power"))
    pretend_training(tmp_path)
    modified = tmp_path / "modified.prototxt"
    modified.write_text(modified.read_text().replace('"Power"', '"SomeLoss"'))
    arguments: Any = [str(tmp_path / n) for n in ("modified.prototxt", "snapshot.caffemodel")]
    with pytest.raises(AmctError, match="lacks quantized layers: 'pool'"):
        workflow.save(*arguments, str(tmp_path / "saved"), save_type, str(tmp_path / "record.txt"))
    assert not list(tmp_path.glob("saved*"))
