"""A plugin's mistake in ``amct qat train``, whose training runs in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Dict

import pytest

from plugins.amct_caffe.tests.ptq import networks
from plugins.amct_caffe.tests.qat import nets

pytestmark = pytest.mark.caffe

PLUGIN = """
import os
from amct_core.extensions import ActivationAlgorithm
from amct_core.hookspecs import hookimpl
from amct_core.numerics import affine, ulq

def forward(x, *bounds):
    y, scale, offset = ulq.forward(x, *bounds)
    return y + (scale / 2 if os.environ["MISTAKE"] == "grid" else 0), scale, offset

def backward(x, *arguments):
    if os.environ["MISTAKE"] == "exception":
        raise ZeroDivisionError("of the plugin")
    return ulq.backward(x, *arguments)

@hookimpl
def amct_activation_algorithms():
    return [ActivationAlgorithm("mistaken", forward, backward, affine.scale_offset)]
"""

NETWORK = (
    nets.layer(
        "source",
        "DummyData",
        (),
        ("data", "label"),
        "dummy_data_param { shape { dim: 4 dim: 2 dim: 6 dim: 6 } shape { dim: 4 dim: 3 } "
        'data_filler { type: "gaussian" } data_filler { type: "constant" } }',
    )
    + nets.convolution("conv", "data", 4, 3)
    + nets.inner_product("ip", "conv", 3)
    + nets.euclidean_loss("ip")
)

SOLVER = {"test_iter": 2, "test_interval": 4, "max_iter": 4, "snapshot": 2}


def amct(folder: Path, *arguments: str, mistake: str = "") -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])
    own = {name: text for name, text in os.environ.items() if name != "AMCT_SUPERVISION"}
    return subprocess.run(
        [sys.executable, "-m", "amct_core", *arguments],
        cwd=folder,
        env={**own, "PYTHONPATH": path, "MISTAKE": mistake, "TMPDIR": str(folder / "tmp")},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture
def modified(tmp_path: Path) -> Path:
    """Return a folder with a network that is ready to be trained by the plugin's algorithm."""
    metadata = tmp_path / "site" / "mine-1.0.dist-info"
    metadata.mkdir(parents=True)
    (tmp_path / "tmp").mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[amct]\nmine = mine_module\n")
    (tmp_path / "site" / "mine_module.py").write_text(PLUGIN)
    networks.write(tmp_path, NETWORK)
    config = ("config", "net.prototxt", "net.caffemodel", "-o", "c.json", "--batch-num", "2")
    insert = ("insert", "net.prototxt", "net.caffemodel", "-c", "c.json", "-o", "q")
    for step in ((*config, "--activation-algo", "mistaken"), insert):
        done = amct(tmp_path, "qat", *step)
        assert done.returncode == 0, done.stderr
    (tmp_path / "solver.prototxt").write_text(
        nets.solver("q/modified_model.prototxt", "q/qat", **SOLVER)
    )
    return tmp_path


TRAIN = ("qat", "train", "solver.prototxt", "--weights", "q/modified_model.caffemodel")
SAID = {
    "grid": ("layer 'conv'", "forward gave y = ", "(q - offset_d) * scale_d"),
    "exception": ("layer 'ip'", "backward failed with ZeroDivisionError: of the plugin."),
}


def contents(folder: Path) -> Dict[str, bytes]:
    """Return the files of a folder, Caffe's log left out."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".log"}


@pytest.mark.parametrize("mistake", SAID)
def test_training_ends_with_one_message_status_1_and_nothing_saved(
    modified: Path, mistake: str
) -> None:
    before = contents(modified / "q")
    done = amct(modified, *TRAIN, mistake=mistake)
    assert done.returncode == 1, done.stderr
    (error,) = [line for line in done.stderr.splitlines() if "plugin 'mine'" in line]
    assert error.startswith("Error: ")
    assert "activation algorithm 'mistaken'" in error
    for part in SAID[mistake]:
        assert part in error
    assert "Traceback" not in done.stderr
    assert contents(modified / "q") == before


def test_the_traceback_of_an_exception_is_in_the_file_that_is_named(modified: Path) -> None:
    done = amct(modified, *TRAIN, mistake="exception")
    last = done.stderr.splitlines()[-1]
    said, _, path = last.partition(" is in ")
    assert said == "The traceback, for its author,"
    report = Path(path.rstrip(".")).read_text()
    for part in ("mine_module.py", 'raise ZeroDivisionError("of the plugin")', "direct cause"):
        assert part in report
    debug = amct(modified, "--debug", *TRAIN, mistake="exception")
    assert debug.returncode == 1
    assert 'raise ZeroDivisionError("of the plugin")' in debug.stderr


def test_without_its_mistake_the_same_plugin_trains(modified: Path) -> None:
    done = amct(modified, *TRAIN)
    assert done.returncode == 0, done.stderr
    assert (modified / "q/qat_iter_4.caffemodel").exists()
