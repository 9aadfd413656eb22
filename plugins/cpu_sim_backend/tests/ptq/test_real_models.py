"""Calibration of real networks: Caffe and the simulator find the same factors."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from amct_core.cli.main import cli

pytest.importorskip("caffe")

pytestmark = [pytest.mark.caffe, pytest.mark.slow]

SHARED = Path(os.environ.get("AMCT_SHARED", Path(__file__).resolve().parents[4] / "../shared"))

LENET = ("lenet/lenet.prototxt", "lenet/lenet_iter_10000.caffemodel")
RESNET = ("resnet20_cifar/resnet20.prototxt", "resnet20_cifar/resnet20.caffemodel")


def images(name: str) -> np.ndarray:
    """Return 32 images, about as their network takes them."""
    path = SHARED / "data" / "load.py"
    spec = importlib.util.spec_from_file_location("load", path)
    assert spec is not None and spec.loader is not None
    load = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(load)
    if name == "mnist":
        pixels = load.mnist("test")[0][:32, None]
        return (pixels / 256).astype(np.float32)
    pixels = load.cifar10("test")[0][:32].transpose(0, 3, 1, 2)
    return (pixels / 255 - 0.45).astype(np.float32) * 4


@pytest.mark.parametrize(("files", "data"), [(LENET, "mnist"), (RESNET, "cifar10")])
@pytest.mark.parametrize("algorithm", ["ifmr", "hfmg", "mse"])
def test_the_factors_agree_within_1e_5(
    files: tuple[str, str], data: str, algorithm: str, tmp_path: Path
) -> None:
    model, weights = (str(SHARED / "models" / name) for name in files)
    if not os.path.isfile(model):
        pytest.skip(f"there is no {model}")
    np.savez(tmp_path / "x.npz", data=images(data))
    options = ("--act-algo", algorithm, "--batch-num", "2", "--engine", "both")
    out = ("-o", str(tmp_path / "out"), "--data", str(tmp_path / "x.npz"))
    done = CliRunner().invoke(cli, ["ptq", "run", model, weights, *out, *options])
    assert done.exit_code == 0, done.output
    found = re.search(r"between Caffe and the\s+simulator:\s+(\S+)", done.output)
    assert found is not None
    assert float(found.group(1)) <= 1e-5
    assert "offset_d differs" not in done.output
