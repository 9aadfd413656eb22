"""``auto_decomposition``: convolutions become two each, and Caffe computes the same."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from amct_caffe.model.network import CaffeNetwork, read_network
from amct_caffe.passes.decompose_convolutions import DecomposeConvolutions, free_names
from amct_caffe.tensor_decompose import auto_decomposition
from amct_core.errors import ConfigError, ModelError, QuantizationError
from amct_core.numerics.decomposition import decompose
from plugins.amct_caffe.tests.ptq.networks import run
from plugins.amct_caffe.tests.qat.nets import convolution, layer

pytest.importorskip("caffe")

pytestmark = pytest.mark.caffe

SIZES = "pad_h: 2 pad_w: 1 stride_h: 2 stride_w: 1"
_SPECS = "param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }"


def sized(name: str, bottom: str, outputs: int, extra: str, top: str = "") -> str:
    """Return a convolution of 5 x 3."""
    fillers = 'weight_filler { type: "xavier" } bias_filler { type: "gaussian" std: 0.3 }'
    body = (
        f"{_SPECS} convolution_param {{ num_output: {outputs} kernel_h: 5 kernel_w: 3 {extra} "
        f"{fillers} }}"
    )
    return layer(name, "Convolution", [bottom], [top or name], body)


NETWORK = "".join(
    [
        'name: "net"\n',
        layer("data", "Input", (), (), "input_param { shape { dim: 2 dim: 8 dim: 13 dim: 11 } }"),
        sized("sided", "data", 16, SIZES, "blob"),
        layer("relu", "ReLU", ["blob"], ["blob"]),
        convolution("square", "blob", 16, 3, "stride: 2 pad: 1 bias_term: false"),
        convolution("grouped", "square", 16, 3, "pad: 1 group: 2"),
        convolution("wide", "grouped", 16, 3, "pad: 2 dilation: 2"),
        convolution("point", "wide", 8, 1),
    ]
)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Write a network whose two kernels that qualify are of rank 3."""
    import caffe

    model, weights = str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel")
    Path(model).write_text(NETWORK)
    caffe.set_random_seed(3)
    net = caffe.Net(model, caffe.TEST)
    for name in ("sided", "square"):
        blob = net.params[name][0]
        first, second = decompose(blob.data).kernels(3)
        blob.data[...] = np.einsum("orj,rci->ocij", second[:, :, 0], first[..., 0])
    net.save(weights)
    return model, weights


def outputs(model: str, weights: str) -> dict[str, np.ndarray]:
    import caffe

    x = np.random.default_rng(0).normal(size=(2, 8, 13, 11)).astype(np.float32)
    net = caffe.Net(model, caffe.TEST, weights=weights)
    found = run(net, {"data": x})
    return {**found, "blob": net.blobs["blob"].data.copy()}


def test_kernels_of_low_rank_give_the_outputs_of_the_original(
    files: tuple[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    new = str(tmp_path / "new" / "net.prototxt"), str(tmp_path / "new" / "net.caffemodel")
    with caplog.at_level(logging.INFO):
        auto_decomposition(*files, *new, energy=1 - 1e-9)
    assert "Decomposition sided ->['sided_0', 'sided_1']" in caplog.text
    network = read_network(*new)
    assert [each.name for each in network.document.layers] == [
        *("data", "sided_0", "sided_1", "relu", "square_0", "square_1"),
        *("grouped", "wide", "point"),
    ]
    assert network.weights["sided_0"][0].shape == (3, 8, 5, 1)
    assert network.weights["sided_1"][0].shape == (16, 3, 1, 3)
    assert [len(network.weights[name]) for name in ("sided_0", "sided_1", "square_1")] == [1, 2, 1]
    wanted, found = outputs(*files), outputs(*new)
    for blob in ("blob", "point"):
        np.testing.assert_allclose(found[blob], wanted[blob], rtol=1e-4, atol=1e-5)


def test_at_full_rank_outputs_equal_those_of_the_original(
    files: tuple[str, str], tmp_path: Path
) -> None:
    network = read_network(*files)
    network.weights["square"][0] = (
        np.random.default_rng(5).normal(size=network.weights["square"][0].shape).astype(np.float32)
    )
    names = ("sided", "square")
    kernels = {}
    for name in names:
        found = decompose(network.weights[name][0])
        kernels[name] = found.kernels(len(found.values))
    whole = DecomposeConvolutions(kernels, free_names(network, names)).run(network)
    wanted = outputs(*write(network, tmp_path / "whole"))
    halves = outputs(*write(whole, tmp_path / "halves"))
    np.testing.assert_allclose(halves["blob"], wanted["blob"], rtol=1e-4, atol=1e-5)
    scale = np.abs(wanted["point"]).max()
    np.testing.assert_allclose(halves["point"], wanted["point"], atol=1e-5 * scale)


def write(network: CaffeNetwork, prefix: Path) -> tuple[str, str]:
    from amct_caffe.frontend import write_network
    from amct_core.files import FileSet

    names = f"{prefix}.prototxt", f"{prefix}.caffemodel"
    with FileSet() as files:
        write_network(network, *names, files)
    return names


def test_what_saves_no_multiplications_stays(files: tuple[str, str], tmp_path: Path) -> None:
    network = read_network(*files)
    for name in ("sided", "square"):
        shape = network.weights[name][0].shape
        network.weights[name][0] = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    noise = write(network, tmp_path / "noise")
    new = str(tmp_path / "new.prototxt"), str(tmp_path / "new.caffemodel")
    auto_decomposition(*noise, *new)
    assert Path(new[0]).read_text() == Path(noise[0]).read_text()
    assert Path(new[1]).read_bytes() == Path(noise[1]).read_bytes()


def test_names_that_are_taken_are_left(files: tuple[str, str]) -> None:
    network = read_network(*files)
    network.document.layers[-1].tops = ["sided_0"]
    assert free_names(network, ["sided"]) == {"sided": ("sided_1", "sided_2")}


def test_the_learning_rates_hold_for_both_layers(files: tuple[str, str], tmp_path: Path) -> None:
    new = str(tmp_path / "new.prototxt"), str(tmp_path / "new.caffemodel")
    auto_decomposition(*files, *new)
    layers = read_network(*new).document.by_name()
    rates = [
        [spec.lr_mult for spec in layers[name][0].param_specs] for name in ("sided_0", "sided_1")
    ]
    assert rates == [[1], [1, 2]]


def test_nan_is_refused_with_the_layer_and_nothing_is_written(
    files: tuple[str, str], tmp_path: Path
) -> None:
    network = read_network(*files)
    broken = network.weights["sided"][0].copy()
    broken[0, 0, 0, 0] = np.nan
    network.weights["sided"][0] = broken
    bad = write(network, tmp_path / "bad")
    new = tmp_path / "new.prototxt"
    with pytest.raises(QuantizationError, match=r"layer 'sided'.*NaN or infinity"):
        auto_decomposition(*bad, str(new), str(tmp_path / "new.caffemodel"))
    assert not new.exists()


@pytest.mark.parametrize("energy", [0.0, 1.5, float("nan")])
def test_an_energy_out_of_range_is_refused(files: tuple[str, str], energy: float) -> None:
    with pytest.raises(ConfigError, match="energy"):
        auto_decomposition(*files, "n.prototxt", "n.caffemodel", energy=energy)


def test_a_quantized_model_is_refused(files: tuple[str, str], tmp_path: Path) -> None:
    new = str(tmp_path / "new.prototxt"), str(tmp_path / "new.caffemodel")
    quantized = 'layer { name: "q" type: "AscendQuant" bottom: "point" top: "q" }\n'
    Path(files[0]).write_text(NETWORK + quantized)
    with pytest.raises(ModelError, match=r"layer 'q'.*expected a float model"):
        auto_decomposition(*files, *new)
    assert not Path(new[0]).exists()
