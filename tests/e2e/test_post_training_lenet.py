"""BVLC's LeNet, calibrated with 64 images from its own data layer and measured on MNIST."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from amct_core.config.ptq import PtqConfig, PtqLayer, PtqWeight
from amct_core.file_names import deploy_files, fake_quant_files
from amct_core.ptq import workflow
from cpu_sim_backend import Simulator
from cpu_sim_backend.verify import verify

caffe = pytest.importorskip("caffe")

pytestmark = [pytest.mark.caffe, pytest.mark.slow, pytest.mark.needs("lmdb")]

SAMPLES = 2000
LAYERS = ("conv1", "conv2", "ip1", "ip2")


@pytest.fixture(scope="module")
def images(shared: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the first test images, as the data layer gives them, and their labels."""
    with np.load(shared / "data/mnist.npz") as data:
        pixels, labels = data["x_test"][:SAMPLES], data["y_test"][:SAMPLES]
    return pixels[:, None].astype(np.float32) * np.float32(0.00390625), labels


@pytest.fixture(scope="module")
def saved(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Quantize LeNet in a folder of its own; return the save path."""
    folder = tmp_path_factory.mktemp("lenet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(shared / "data"))
        patch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
        import lenet_mnist

        lenet_mnist.prepare(shared, folder, 64)
        layers = {
            name: PtqLayer(weight=PtqWeight(channel_wise=name.startswith("conv")))
            for name in LAYERS
        }
        network = workflow.start_with(
            PtqConfig(batch_num=1, layers=layers),
            "config.json",
            str(shared / "models/lenet/lenet_train_test.prototxt"),
            str(shared / "models/lenet/lenet_iter_10000.caffemodel"),
            "tmp/record.txt",
        )
        modified = "tmp/modified.prototxt", "tmp/modified.caffemodel"
        workflow.calibration_network(network, *modified)
        caffe.Net(*modified, caffe.TEST).forward()
        workflow.save(network, "Both", "result/lenet")
        sys.modules.pop("lenet_mnist")
    return str(folder / "result/lenet")


def test_its_fake_quant_model_and_its_integers_are_the_same_and_as_good(
    saved: str, images: tuple[np.ndarray, np.ndarray]
) -> None:
    pixels, labels = images
    classes = np.concatenate(
        [
            Simulator(*deploy_files(saved)).run({"data": part})["prob"].argmax(axis=1)
            for part in np.split(pixels, 4)
        ]
    )
    # In float32 it is right in 99.35 % of these 2,000 images, and in 99.05 % of all.
    assert np.mean(classes == labels) >= 0.99
    report = verify(saved, {"data": pixels[:500]})
    assert report.exact_integers
    assert [layer.name for layer in report.layers] == list(LAYERS)


def test_its_fake_quant_model_still_runs_on_its_own_data(saved: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(Path(saved).parents[1])
        net = caffe.Net(*fake_quant_files(saved), caffe.TEST)
        accuracy = np.mean([float(net.forward()["accuracy"]) for _ in range(10)])
    assert accuracy >= 0.985
