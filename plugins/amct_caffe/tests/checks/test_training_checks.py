"""What would fail in training is refused before anything is trained or written.

Each check has its faults here; each fault is tried with every command that can meet it: the API's
``check_solver``, ``amct qat train`` and ``amct qat run``.  A machine is made up, so none of this
needs Caffe.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Optional

import attrs
import pytest

import amct_caffe
from amct_caffe.checks import file_sizes, network, snapshots
from amct_caffe.checks.training import CHECKS
from amct_caffe.model.formats.prototxt import solver as solvers
from amct_caffe.training import solver_check, workflow
from amct_caffe.training.start import Start
from amct_core.config.edits import Edits
from amct_core.config.selectors import Selector
from amct_core.errors import (
    ConfigError,
    PluginError,
    TrainingError,
)
from plugins.amct_caffe.tests.checks.float_models import (
    CONFIG,
    MODEL,
    MODIFIED,
    WEIGHTS,
    FloatModel,
    files_below,
)
from plugins.amct_caffe.tests.checks.training_faults import (
    FAULTS,
    GOOD_MACHINE,
    GOOD_SOLVER,
    MEMORY,
    SOLVER,
    WITHOUT_LOSS,
    Fault,
    dummy_label,
    in_test,
    solver,
    source,
)
from plugins.amct_caffe.tests.qat import nets


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepare(fault: Fault, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every file up to training, with ``fault`` in them, and the machine."""
    FloatModel(fault.text).write(folder)
    amct_caffe.create_quant_retrain_config(CONFIG, MODEL, WEIGHTS)
    amct_caffe.create_quant_retrain_model(MODEL, WEIGHTS, CONFIG, *MODIFIED)
    fields = {"net": MODIFIED[0], "snapshot_prefix": "s", **GOOD_SOLVER, **fault.solver}
    text = nets.solver(fields.pop("net"), fields.pop("snapshot_prefix"), **fields)
    (folder / SOLVER).write_text(text + fault.more)
    fault.prepare(folder)
    for module in (workflow, solver_check):
        monkeypatch.setattr(module, "this_machine", lambda: fault.machine)
    if fault.large:
        monkeypatch.setattr(file_sizes, "SMALL_FILE", 0)
        moved = file_sizes.learnable_bytes(MODEL, WEIGHTS, {"conv", "ip"})
        monkeypatch.setattr(snapshots, "MESSAGE_LIMIT", 2 * moved - 1)


def run(command: str, resume: Optional[str] = None) -> None:
    """Run one of :data:`COMMANDS`."""
    if command == "check_solver":
        amct_caffe.check_solver(SOLVER, CONFIG, MODIFIED[0])
    elif command == "train":
        workflow.train(SOLVER, Start(MODIFIED[1], resume))
    else:
        workflow.run_all(MODEL, WEIGHTS, SOLVER, "out")


def refusal(command: str, folder: Path, resume: Optional[str] = None) -> str:
    """Run ``command``; return what it said after making sure that nothing was written."""
    before = files_below(folder)
    with pytest.raises(TrainingError) as caught:
        run(command, resume)
    assert files_below(folder) == before, "not even an empty folder"
    return str(caught.value)


CASES = {
    f"{check.name}-{what}": fault for check in CHECKS for what, fault in FAULTS[check.name].items()
}


@pytest.mark.parametrize("fault", CASES.values(), ids=CASES)
def test_it_is_refused_before_anything_is_trained_or_written(
    fault: Fault, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(fault, folder, monkeypatch)
    for command in fault.commands:
        said = refusal(command, folder, fault.resume)
        for word in fault.words:
            assert word in said, command
        assert len(said.split("\n  - ")) - 1 == fault.lines, said


def test_every_check_has_a_fault() -> None:
    assert set(FAULTS) == {check.name for check in CHECKS}
    assert all(FAULTS.values())


def test_what_is_wrong_nowhere_is_not_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(Fault([]), folder, monkeypatch)
    run("check_solver")


def test_the_nets_are_not_built_where_something_else_is_wrong(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = attrs.evolve(GOOD_MACHINE, problem_of_building=lambda rehearsal: "Check failed")
    prepare(Fault([], {"max_iter": None}, machine=machine), folder, monkeypatch)
    assert "nets:" not in refusal("check_solver", folder)


def test_layers_that_are_classes_of_the_script_itself_are_not_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = attrs.evolve(GOOD_MACHINE, problem_of_building=lambda rehearsal: "no class 'Reader'")
    text = source("Python", 'python_param { module: "script" layer: "Reader" }')
    monkeypatch.setitem(sys.modules, "script", types.ModuleType("script"))
    prepare(Fault([], text=text, machine=machine), folder, monkeypatch)
    run("check_solver")


def test_qat_run_refuses_a_backend_that_is_not_installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(Fault([]), folder, monkeypatch)
    before = files_below(folder)
    with pytest.raises(PluginError, match="no_such_backend"):
        workflow.run_all(MODEL, WEIGHTS, SOLVER, "out", backend="no_such_backend")
    assert files_below(folder) == before


def test_qat_run_changes_no_config_that_is_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(Fault([]), folder, monkeypatch)
    edits = Edits(skip=(Selector("conv*", "--skip conv*"),))
    with pytest.raises(ConfigError, match=r"used as it is, and a change to it: --skip conv\*") as e:
        workflow.run_all(MODEL, WEIGHTS, SOLVER, "out", CONFIG, edits=edits)
    assert "amct qat config --base" in e.value.remedy
    assert not (folder / "out").exists()


def test_qat_run_refuses_changes_that_do_not_fit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(Fault([]), folder, monkeypatch)
    edits = Edits(skip=(Selector("no_such_layer", "--skip no_such_layer"),))
    with pytest.raises(ConfigError, match="no layer of name 'no_such_layer'"):
        workflow.run_all(MODEL, WEIGHTS, SOLVER, "out", edits=edits)
    assert not (folder / "out").exists()


def test_check_solver_refuses_a_backend_that_the_config_names_in_vain(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(Fault([]), folder, monkeypatch)
    text = (folder / CONFIG).read_text().replace("{", '{"deploy_backend": "no_such_backend",', 1)
    (folder / CONFIG).write_text(text)
    with pytest.raises(ConfigError, match="no_such_backend") as caught:
        run("check_solver")
    assert (caught.value.file, caught.value.field) == (CONFIG, "deploy_backend")
    with pytest.raises(ConfigError, match="no_such_backend"):
        workflow.run_all(MODEL, WEIGHTS, SOLVER, "out", CONFIG)
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("solver_type", "policy"), [("Ranger", "fixed"), ("SGD", "plateau")], ids=str
)
def test_what_another_caffe_was_found_to_run_is_not_refused(
    solver_type: str, policy: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = attrs.evolve(GOOD_MACHINE, runs_solver=lambda solver: True)
    fields = {"type": solver_type, "lr_policy": policy}
    prepare(Fault([], fields, machine=other), folder, monkeypatch)
    run("check_solver")


def test_labels_that_are_ignored_are_no_mistake(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignoring = 'top: "loss"\n  loss_param { ignore_label: 255 }'
    text = dummy_label('type: "constant" value: 255').replace('top: "loss"\n', ignoring)
    assert ignoring in text
    prepare(Fault([], text=text), folder, monkeypatch)
    run("check_solver")


def test_the_labels_of_a_data_layer_are_told_once_for_all_that_read_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracy = nets.layer("accuracy", "Accuracy", ["ip", "label"])
    text = dummy_label('type: "constant" value: 5') + accuracy
    prepare(Fault([], text=text), folder, monkeypatch)
    assert refusal("check_solver", folder).count("no class") == 1


def test_without_tests_the_test_phase_is_not_looked_at(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_tests = {"test_iter": None, "test_interval": None, "test_initialization": None}
    prepare(Fault([], no_tests, text=in_test("MemoryData", MEMORY)), folder, monkeypatch)
    assert "MemoryData" not in refusal("check_solver", folder), "the search for N alone"


@pytest.mark.parametrize("snapshot", [1, 2, 4])
def test_a_snapshot_at_the_last_iteration_is_enough(
    snapshot: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"snapshot_after_train": False, "snapshot": snapshot}
    prepare(Fault([], fields), folder, monkeypatch)
    run("check_solver")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("", "s_iter_4.caffemodel"),
        ("snapshot_format: BINARYPROTO", "s_iter_4.caffemodel"),
        ("snapshot_format: HDF5", "s_iter_4.caffemodel.h5"),
    ],
)
def test_the_last_snapshot_is_named_as_caffe_does(said: str, name: str, folder: Path) -> None:
    (folder / SOLVER).write_text(nets.solver(MODIFIED[0], "s") + said)
    assert workflow.last_snapshot(solvers.read(SOLVER)) == name


@pytest.mark.parametrize(
    ("fault", "warning"),
    [
        (solver("", base_lr=None), "base_lr is not set"),
        (solver("", lr_policy="step", stepsize=2), "gamma is not set"),
        (Fault([], text=WITHOUT_LOSS), "no loss"),
    ],
    ids=["no learning rate", "no gamma", "no loss"],
)
def test_a_training_that_learns_nothing_is_warned_of(
    fault: Fault,
    warning: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    prepare(fault, folder, monkeypatch)
    caplog.clear()
    run("check_solver")
    assert [line for line in caplog.messages if warning in line and SOLVER in line]


def test_a_good_training_is_not_warned_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    prepare(Fault([]), folder, monkeypatch)
    caplog.clear()
    run("check_solver")
    assert caplog.messages == []


def test_the_documentation_lists_every_check() -> None:
    guide = (Path(__file__).parents[4] / "docs/user-guide.md").read_text()
    for title, checks in (("Before insertion", network.CHECKS), ("Before training", CHECKS)):
        table = guide.split(f"| {title} | refused |\n|---|---|\n", 1)[1].split("\n\n", 1)[0]
        assert table.splitlines() == [f"| {check.name} | {check.refuses} |" for check in checks]
