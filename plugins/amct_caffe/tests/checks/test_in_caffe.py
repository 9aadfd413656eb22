"""What the checks say of Caffe, in Caffe; each training in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import amct_caffe
from amct_caffe.checks.machine import this_machine
from amct_caffe.checks.solver_probe import runs_solver
from amct_caffe.model.formats.caffemodel import reader
from amct_caffe.model.formats.prototxt import solver as solvers
from amct_caffe.training import workflow
from amct_core.errors import TrainingError
from plugins.amct_caffe.tests.checks import float_models
from plugins.amct_caffe.tests.checks.float_models import (
    CONFIG,
    MODEL,
    MODIFIED,
    WEIGHTS,
    FloatModel,
    changed,
    files_below,
)
from plugins.amct_caffe.tests.qat import nets

pytestmark = pytest.mark.caffe

SOLVER = "solver.prototxt"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_solver(net: str, **fields: Any) -> None:
    Path(SOLVER).write_text(nets.solver(net, "s", **{"test_interval": 4, **fields}))


def amct(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "amct_core", *arguments], capture_output=True, text=True
    )


ENDS_THE_PROCESS: dict[str, dict[str, Any]] = {
    "an unknown policy": {"lr_policy": "no such policy"},
    "no policy": {"lr_policy": None},
    "step without stepsize": {"lr_policy": "step"},
    "an unknown type": {"type": "NoSuchSolver"},
    "momentum of AdaGrad": {"type": "AdaGrad"},
    "momentum of RMSProp": {"type": "RMSProp"},
    "an average over nothing": {"average_loss": 0},
    "an unknown regularization": {"regularization_type": "L3"},
    "tests without an interval": {"test_interval": None},
    "a folder that is not there": {"snapshot_prefix": "nowhere/s"},
}


SOLVE_EACH = """
import caffe, os, sys
for file in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        caffe.get_solver(file).solve()
        os._exit(0)
    print(os.WIFSIGNALED(os.waitpid(child, 0)[1]))
"""


def test_caffe_ends_the_process_on_what_is_refused() -> None:
    FloatModel().write(Path())
    for number, changes in enumerate([{}, *ENDS_THE_PROCESS.values()]):
        fields = {"test_interval": 4, "snapshot_prefix": "s", **changes}
        text = nets.solver(MODEL, fields.pop("snapshot_prefix"), **fields)
        Path(f"{number}.prototxt").write_text(text)
    files = [f"{number}.prototxt" for number in range(len(ENDS_THE_PROCESS) + 1)]
    done = subprocess.run(
        [sys.executable, "-c", SOLVE_EACH, *files], capture_output=True, text=True, check=True
    )
    ended = dict(zip(["none of these", *ENDS_THE_PROCESS], done.stdout.split()))
    assert ended == {"none of these": "False", **dict.fromkeys(ENDS_THE_PROCESS, "True")}


@pytest.mark.parametrize(
    ("fields", "runs"),
    [({}, True), ({"lr_policy": "no such policy"}, False), ({"type": "NoSuchSolver"}, False)],
    ids=str,
)
def test_a_probe_finds_out_which_kinds_of_solver_caffe_has(
    fields: dict[str, Any], runs: bool, folder: Path
) -> None:
    write_solver("net.prototxt", **fields)
    before = files_below(folder)
    assert runs_solver(solvers.read(SOLVER)) is runs
    assert files_below(folder) == before


def test_this_machine_has_what_a_small_network_needs() -> None:
    machine = this_machine()
    assert machine.no_caffe is None
    assert machine.problem_of_class("amct_caffe.layers", "ShiftSearch") is None
    assert "NoSuchLayer" in str(machine.problem_of_class("amct_caffe.layers", "NoSuchLayer"))
    assert "no_such_module" in str(machine.problem_of_class("no_such_module", "Layer"))


def inserted(model: FloatModel) -> None:
    model.write(Path())
    amct_caffe.create_quant_retrain_config(CONFIG, MODEL, WEIGHTS)
    amct_caffe.create_quant_retrain_model(MODEL, WEIGHTS, CONFIG, *MODIFIED)


@pytest.mark.parametrize("ending", ["", ".h5"], ids=["binary", "HDF5"])
def test_the_snapshot_that_is_announced_is_there(ending: str) -> None:
    inserted(FloatModel())
    write_solver(MODIFIED[0], **({"snapshot_format": 0} if ending else {}))
    done = amct("qat", "train", SOLVER, "--weights", MODIFIED[1])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == os.path.join(f"s_iter_4.caffemodel{ending}")
    assert Path(done.stdout.strip()).is_file()


class TestLayersThatPassNoGradientDown:
    SILENT = 'top: "ip"\n  propagate_down: false'
    NETWORK = float_models.NETWORK.replace('top: "ip"', SILENT)

    def train(self, text: str) -> dict[str, Any]:
        """Insert and train in a process of its own; return the blobs before and after."""
        inserted(FloatModel(text))
        write_solver(MODIFIED[0], base_lr=0.01, weight_decay=0)
        done = amct("qat", "train", SOLVER, "--weights", MODIFIED[1])
        assert done.returncode == 0, done.stderr
        before, after = (reader.read(file).by_name() for file in (MODIFIED[1], done.stdout.strip()))
        return {name: (before[name].blobs[0], after[name].blobs[0]) for name in before}

    def test_their_own_weights_are_trained_and_none_before_them(self) -> None:
        blobs = self.train(self.NETWORK)
        assert (blobs["ip_weight_qat"][0] != blobs["ip_weight_qat"][1]).any()
        np.testing.assert_array_equal(*blobs["conv_weight_qat"])

    def test_a_layer_without_a_backward_pass_may_stand_before_them(self) -> None:
        step = nets.layer("step", "Threshold", ["conv"], ["step"])
        before, after = self.NETWORK.split(nets.relu("relu", "conv"))
        blobs = self.train(before + step + after.replace('bottom: "conv"', 'bottom: "step"'))
        assert (blobs["ip_weight_qat"][0] != blobs["ip_weight_qat"][1]).any()


@pytest.mark.parametrize("command", ["check_solver", "run"])
@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        (float_models.NETWORK, "warmup_iter: 3", 'no field named "warmup_iter"'),
        (float_models.NETWORK.replace("shape { dim: 2 } ", "shape { dim: 3 } "), "", "(2 vs. 3)"),
    ],
    ids=["a field that Caffe does not know", "shapes that do not fit"],
)
def test_what_ends_caffe_is_told_before_anything_is_written(
    text: str, more: str, said: str, command: str, folder: Path
) -> None:
    inserted(FloatModel(text))
    write_solver(MODIFIED[0] if command == "check_solver" else MODEL)
    Path(SOLVER).write_text(Path(SOLVER).read_text() + more)
    before = files_below(folder)
    commands = {
        "check_solver": lambda: amct_caffe.check_solver(SOLVER, CONFIG, MODIFIED[0]),
        "run": lambda: workflow.run_all(MODEL, WEIGHTS, SOLVER, "out"),
    }
    with pytest.raises(TrainingError) as caught:
        commands[command]()
    assert said in str(caught.value)
    assert files_below(folder) == before


class TestABiasThatWillNotFit:
    """It is found at the end of initialisation, in the user's own loop as well."""

    @pytest.mark.parametrize("search", ["search_n_v2", "none"])
    def test_it_is_told_when_the_first_scales_exist(self, search: str) -> None:
        FloatModel(**changed("ip", 1, 3e10, 3)).write(Path())
        amct_caffe.create_quant_retrain_config(CONFIG, MODEL, WEIGHTS)
        text = Path(CONFIG).read_text().replace('"batch_num": 1', '"batch_num": 2')
        Path(CONFIG).write_text(text.replace("{", f'{{"shift_n_algo": "{search}",', 1))
        amct_caffe.create_quant_retrain_model(MODEL, WEIGHTS, CONFIG, *MODIFIED)
        write_solver(MODIFIED[0], max_iter=100, test_interval=100, test_iter=2, base_lr=0)
        done = amct("qat", "train", SOLVER, "--weights", MODIFIED[1])
        assert done.returncode == 1
        for word in ("layer 'ip'", "after 2 TRAIN forwards", "channel 3", "retrain_enable: false"):
            assert word in done.stderr
        assert not list(Path().glob("s_iter_*"))

    def test_one_that_fits_with_no_scale_is_told_on_insertion(self) -> None:
        FloatModel(**changed("ip", 1, 1e30, 3)).write(Path())
        amct_caffe.create_quant_retrain_config(CONFIG, MODEL, WEIGHTS)
        with pytest.raises(
            ValueError, match=r"^net\.caffemodel, layer 'ip': the bias of channel 3"
        ):
            amct_caffe.create_quant_retrain_model(MODEL, WEIGHTS, CONFIG, *MODIFIED)
        assert not Path(MODIFIED[0]).exists()


def test_the_api_and_the_command_agree_on_a_network_that_has_no_n() -> None:
    """A network of poolings: no layer has an N, so no TEST pass is needed."""
    text = (
        float_models.DATA
        + nets.pooling("pool", "data", "AVE", 2, 2)
        + nets.layer(
            "ip", "InnerProduct", ["pool"], ["ip"], "inner_product_param { num_output: 5 axis: 2 }"
        )
        + nets.layer(
            "target",
            "DummyData",
            [],
            ["target"],
            "dummy_data_param { shape { dim: 2 dim: 3 dim: 5 } }",
        )
        + nets.layer("loss", "EuclideanLoss", ["ip", "target"])
    )
    blobs = {"ip": [np.ones((5, 16), np.float32), np.ones(5, np.float32)]}
    inserted(FloatModel(text, blobs))
    assert "ShiftSearch" not in Path(MODIFIED[0]).read_text()
    write_solver(MODIFIED[0], test_iter=None, test_interval=None, test_initialization=None)
    amct_caffe.check_solver(SOLVER, CONFIG, MODIFIED[0])
    workflow.check_training(SOLVER, MODIFIED[1], None)
    assert amct("qat", "train", SOLVER, "--weights", MODIFIED[1]).returncode == 0
