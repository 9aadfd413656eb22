"""Mistakes that end Caffe's process, made in real Caffe: each becomes one error with status 1.

The checks before training refuse most of them; a command of the test's own runs Caffe without.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Optional

import attrs
import pytest

from plugins.amct_caffe.tests.ptq import networks
from plugins.amct_caffe.tests.qat import nets

pytestmark = pytest.mark.caffe

PLUGIN = """
import click
from amct_core.extensions import CliCommand
from amct_core.hookspecs import hookimpl

def load():
    @click.command("alone")
    @click.option("--goes-on", is_flag=True)
    def command(goes_on):
        from amct_caffe.runtime.training import run_solver
        from amct_core.supervision.watch import current

        current().keep_log("caffe.log", goes_on)
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
    "missing LMDB": Mistake(
        network(lmdb("gone_lmdb")), ("gone_lmdb, layer 'images'", "No such file")
    ),
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
    folder: Path,
    *arguments: str,
    before: Optional[Callable[[], None]] = None,
    program: str = "amct_core",
    **variables: str,
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
        [sys.executable, "-m", program, *arguments],
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


def test_a_log_of_several_runs_tells_of_the_last_one(tmp_path: Path) -> None:
    write(tmp_path, MISTAKES["missing list"].net)
    (tmp_path / "caffe.log").write_text("F1129 08:55:23.682250  196 net.cpp:1] of another run\n")
    done = amct(tmp_path, "alone", "--goes-on")
    assert done.returncode == 1
    assert "gone.txt" in done.stderr.splitlines()[-1]
    assert "of another run" not in done.stderr
    assert (tmp_path / "caffe.log").read_text().startswith("F1129 08:55:23.682250  196 net.cpp:1]")


@pytest.mark.parametrize("command", ["verify", "simulate -o out.npz"])
def test_data_layers_that_end_caffe_in_verify_and_simulate(tmp_path: Path, command: str) -> None:
    name, *options = command.split()
    prefix = saved_with_images(tmp_path)
    done = amct(tmp_path, name, prefix, "--data-layer", "--iterations", "1", *options)
    assert "The last lines of amct_log/framework.log:" in done.stderr
    require_one_error(done, "Error: gone.png, layer 'images': Caffe ended the process: ")
    assert not (tmp_path / "out.npz").exists()


def saved_with_images(folder: Path) -> str:
    """Return the prefix of saved models with a TEST data layer that reads a file of no image.

    Only Caffe finds that out; what can be known without it is refused before.
    """
    networks.write(folder, network())
    made = amct(folder, "ptq", "run", "net.prototxt", "net.caffemodel", "-o", "q")
    assert made.returncode == 0, made.stderr
    (folder / "images.txt").write_text("gone.png 0\n")
    (folder / "gone.png").write_text("no image")
    model = folder / "q/result/model_fake_quant_model.prototxt"
    name, source, *others = re.split(r"^(?=layer \{)", model.read_text(), flags=re.MULTILINE)
    assert "DummyData" in source
    model.write_text("".join([name, image_list("images.txt"), *others]))
    return "q/result/model"


def require_one_error(done: subprocess.CompletedProcess[str], *told: str) -> None:
    assert done.returncode == 1, done.stderr
    error = done.stderr.splitlines()[-1]
    for part in told:
        assert part in error
    assert "    @ " not in done.stderr, "no stack of C++"


EVALUATOR = """
import caffe

class Evaluator:
    def calibration(self, model, weights):
        print("begun", flush=True)
        {body}

customize_evaluator = Evaluator()
"""

CALIBRATION = (
    *("calibration", "--model", "net.prototxt", "--weights", "net.caffemodel"),
    *("--save_path", "out/s", "--evaluator", "eva.py"),
)


class TestTheCommandThatAmctHas:
    """``amct_caffe calibration`` is supervised like ``amct``."""

    def write(self, folder: Path, body: str) -> None:
        networks.write(folder)
        (folder / "eva.py").write_text(EVALUATOR.format(body=body))

    def test_an_evaluator_that_ends_caffe_is_one_error(self, tmp_path: Path) -> None:
        self.write(tmp_path, "caffe.Net('bad.prototxt', caffe.TEST)")
        (tmp_path / "bad.prototxt").write_text(nets.layer("odd", "Nonsense", ()))
        (tmp_path / "tmp").mkdir()
        done = amct(tmp_path, *CALIBRATION, program="amct_caffe", TMPDIR=str(tmp_path / "tmp"))
        require_one_error(done, "layer 'odd'", "Unknown layer type: Nonsense", "amct doctor")
        assert not (tmp_path / "out").exists()

    def test_the_files_in_between_that_it_left_are_removed_by_the_next_one(
        self, tmp_path: Path
    ) -> None:
        self.write(tmp_path, "__import__('os').abort()")
        (tmp_path / "tmp").mkdir()
        for _ in range(2):
            amct(tmp_path, *CALIBRATION, program="amct_caffe", TMPDIR=str(tmp_path / "tmp"))
            left = [path for path in (tmp_path / "tmp").iterdir() if "amct_caffe" in path.name]
            assert len(left) == 1

    def test_a_signal_ends_it_with_its_status(self, tmp_path: Path) -> None:
        self.write(
            tmp_path,
            "__import__('os').kill(__import__('os').getppid(), 15); __import__('time').sleep(60)",
        )
        done = amct(tmp_path, *CALIBRATION, program="amct_caffe")
        assert done.returncode == 143
        assert "Stopped by SIGTERM." in done.stderr
        assert "Traceback" not in done.stderr
