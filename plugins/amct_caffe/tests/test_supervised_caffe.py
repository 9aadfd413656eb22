"""Mistakes that end Caffe's process, made in real Caffe: each becomes one error with status 1.

The checks before training refuse most of them; a command of the test's own runs Caffe without.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Optional

import attrs
import pytest

from plugins.amct_caffe.tests.qat import nets

pytestmark = pytest.mark.caffe

PLUGIN = """
import click
from amct_core.extensions import CliCommand
from amct_core.hookspecs import hookimpl

def load():
    @click.command("alone")
    def command():
        from amct_caffe.runtime.training import run_solver
        from amct_core.supervision.watch import current

        current().keep_log("caffe.log")
        run_solver("solver.prototxt", None)

    return command

@hookimpl
def amct_cli_commands():
    return [CliCommand(name="alone", help="Train.", load=load, runs_framework=True)]
"""

DUMMY = nets.layer(
    "source",
    "DummyData",
    (),
    ("data", "label"),
    "dummy_data_param { shape { dim: 4 dim: 2 dim: 6 dim: 6 } shape { dim: 4 dim: 3 } "
    'data_filler { type: "gaussian" } data_filler { type: "constant" } }',
)


def network(source: str = DUMMY, middle: str = "", loss: str = "") -> str:
    return (
        source
        + nets.convolution("conv", "data", 4, 3)
        + middle
        + nets.inner_product("ip", "conv", 3)
        + (loss or nets.euclidean_loss("ip"))
    )


def image_list(file: str) -> str:
    body = f'image_data_param {{ source: "{file}" batch_size: 4 }}'
    return nets.layer("images", "ImageData", (), ("data", "label"), body)


def lmdb(file: str) -> str:
    body = f'data_param {{ source: "{file}" backend: LMDB batch_size: 4 }}'
    return nets.layer("images", "Data", (), ("data", "label"), body)


TOO_LARGE = nets.layer(
    "large",
    "Convolution",
    ["conv"],
    ["large"],
    "convolution_param { num_output: 2 kernel_size: 9 }",
)


@attrs.frozen
class Mistake:
    """Something that ends Caffe, and what has to be told.

    Attributes:
        net: the network.
        told: parts of the message.
        fields: of the solver.
    """

    net: str
    told: tuple[str, ...]
    fields: dict[str, Any] = attrs.Factory(dict)


MISTAKES = {
    "missing list": Mistake(
        network(image_list("gone.txt")), ("layer 'images'", "gone.txt", "File is empty")
    ),
    "missing LMDB": Mistake(network(lmdb("gone_lmdb")), ("layer 'images'", "No such file")),
    "kernel larger than the input": Mistake(
        network(middle=TOO_LARGE), ("layer 'large'", "Check failed", "shapes of its inputs")
    ),
    "unknown lr_policy": Mistake(
        network(),
        ("Unknown learning rate policy: nonsense", "lr_policy"),
        {"lr_policy": "nonsense"},
    ),
    "unknown layer type": Mistake(
        network(middle=nets.layer("odd", "Nonsense", ["conv"])),
        ("layer 'odd'", "Unknown layer type: Nonsense", "amct doctor"),
    ),
}


def own_environment() -> dict[str, str]:
    """Return the environment without what other tests say of Caffe's log, which is read here."""
    return {name: text for name, text in os.environ.items() if name != "GLOG_minloglevel"}


def amct(
    folder: Path, *arguments: str, before: Optional[Callable[[], None]] = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    site = folder / "site"
    if not site.exists():
        metadata = site / "mine-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text("[amct]\nmine = mine_module\n")
        (site / "mine_module.py").write_text(PLUGIN)
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", "amct_core", *arguments],
        cwd=folder,
        env={**own_environment(), "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=before,
    )


def write(folder: Path, net: str, **fields: Any) -> None:
    (folder / "net.prototxt").write_text(net)
    fields = {"test_iter": None, "test_interval": None, "test_initialization": None, **fields}
    (folder / "solver.prototxt").write_text(nets.solver("net.prototxt", "s", **fields))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_error_with_caffes_own_sentence(tmp_path: Path, name: str) -> None:
    mistake = MISTAKES[name]
    write(tmp_path, mistake.net, **mistake.fields)
    done = amct(tmp_path, "alone")
    assert done.returncode == 1, done.stderr
    error = done.stderr.splitlines()[-1]
    assert error.startswith("Error: ")
    assert "Caffe ended the process" in error
    for part in mistake.told:
        assert part in error
    assert "    @ " not in done.stderr, "no stack of C++"
    assert "The last lines of caffe.log:" in done.stderr
    assert "F" in {line[0] for line in (tmp_path / "caffe.log").read_text().splitlines() if line}


def limit(size: int) -> Callable[[], None]:
    """Return what lets a process write files of at most ``size`` bytes: a disk that is full."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_disk_that_is_full_at_a_snapshot_is_told_with_file_and_iteration(tmp_path: Path) -> None:
    large = nets.inner_product("wide", "conv", 20_000)  # some 10 MB of weights
    write(tmp_path, network(middle=large), max_iter=4, snapshot=2)
    done = amct(tmp_path, "alone", before=limit(1 << 20))
    assert done.returncode == 1
    error = done.stderr.splitlines()[-1]
    assert "s_iter_2.caffemodel" in error
    assert "at iteration 1 of 4" in error
    assert "Make room" in error


def test_so_it_is_where_the_user_has_caffe_log_next_to_nothing(tmp_path: Path) -> None:
    write(tmp_path, network(), max_iter=4, snapshot=2)
    done = amct(tmp_path, "alone", before=limit(1000), GLOG_minloglevel="3")
    assert done.returncode == 1
    error = done.stderr.splitlines()[-1]
    assert "at iteration 1 of 4" in error
    assert "Make room" in error


def test_a_loss_that_is_no_number_stops_training_with_layer_and_snapshot(tmp_path: Path) -> None:
    write(tmp_path, network(), max_iter=500, snapshot=1, base_lr=10.0, momentum=0.0)
    done = amct(tmp_path, "alone")
    assert done.returncode == 1
    error = done.stderr.splitlines()[-1]
    assert "the loss is" in error
    assert "layer '" in error
    assert "The last good snapshot is 's_iter_1.solverstate'" in error
