"""What would fail in training is refused before anything is trained or written.

Each check has its faults here; each fault is tried with every command that can meet it: the API's
``check_solver``, ``amct qat train`` and ``amct qat run``.  A machine is made up, so none of this
needs Caffe.
"""

from __future__ import annotations

import struct
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import attrs
import numpy as np
import pytest

import amct_caffe
from amct_caffe.checks import file_sizes, network, snapshots
from amct_caffe.checks.machine import Machine
from amct_caffe.checks.training import CHECKS
from amct_caffe.model.formats.prototxt import solver as solvers
from amct_caffe.training import solver_check, workflow
from amct_caffe.training.start import Start
from amct_core.config.edits import Edits
from amct_core.config.selectors import Selector
from amct_core.errors import (
    ConfigError,
    EnvironmentUnsuitableError,
    PluginError,
    TrainingError,
)
from plugins.amct_caffe.tests.checks.float_models import (
    CONFIG,
    DATA,
    MODEL,
    MODIFIED,
    NETWORK,
    WEIGHTS,
    FloatModel,
    files_below,
)
from plugins.amct_caffe.tests.qat import nets

SOLVER = "solver.prototxt"
GOOD_SOLVER: Mapping[str, Any] = {"test_interval": 4}
GOOD_MACHINE = Machine(
    lacks=lambda document, solver: iter(()),
    runs_solver=lambda solver: False,
    problem_of_class=lambda module, name: None,
    problem_of_building=lambda rehearsal: None,
)
COMMANDS = ("check_solver", "train", "run")
WITHOUT_LOSS = NETWORK.replace(
    nets.layer("loss", "SoftmaxWithLoss", ["ip", "label"]), nets.layer("loss", "Softmax", ["ip"])
)


def nothing(folder: Path) -> None:
    """Prepare nothing."""


@attrs.frozen
class Fault:
    """Something wrong.

    Attributes:
        words: what the user is told.
        solver: what is different in the solver.
        more: text that the solver has as well.
        text: the network.
        machine: on which it is to be trained.
        prepare: makes files or folders.
        resume: the state to go on from.
        large: whether 2 GiB are so little that the state of Adam is more.
        commands: those that can meet it.
        lines: how many violations are told.
    """

    words: Sequence[str]
    solver: Mapping[str, Any] = attrs.field(factory=dict)
    more: str = ""
    text: str = NETWORK
    machine: Machine = GOOD_MACHINE
    prepare: Callable[[Path], None] = nothing
    resume: Optional[str] = None
    large: bool = False
    commands: Sequence[str] = COMMANDS
    lines: int = 1


def solver(field: str, *words: str, **fields: Any) -> Fault:
    """Return a fault of the solver alone."""
    return Fault((f"- {field}: ", *words), fields)


def source(kind: str, parameters: str, tops: Sequence[str] = ("data", "label")) -> str:
    """Return the network with another data layer, for images of the same shape."""
    layer = nets.layer("source", kind, [], tops, parameters)
    return layer + NETWORK[len(DATA) :]


def in_test(kind: str, parameters: str) -> str:
    """Return the network with another data layer in TEST alone."""
    train = DATA.replace("layer {", "layer { include { phase: TRAIN }", 1)
    test = nets.layer(
        "source", kind, [], ["data", "label"], f"include {{ phase: TEST }} {parameters}"
    )
    return train + test + NETWORK[len(DATA) :]


MEMORY = "memory_data_param { batch_size: 2 channels: 3 height: 8 width: 8 }"
LMDB = source("Data", 'data_param { source: "db" batch_size: 2 backend: LMDB }')
IMAGES = source(
    "ImageData",
    'image_data_param { source: "list.txt" batch_size: 2 new_height: 8 new_width: 8 '
    'root_folder: "images/" }',
)
HDF5 = source("HDF5Data", 'hdf5_data_param { source: "list.txt" batch_size: 2 }')


def images(*lines: str) -> Callable[[Path], None]:
    """Return what makes a list of images, and those called ``0.png`` to ``2.png``."""

    def prepare(folder: Path) -> None:
        (folder / "images").mkdir()
        for name in range(3):
            (folder / f"images/{name}.png").write_bytes(b"")
        (folder / "list.txt").write_text("".join(f"{line}\n" for line in lines))

    return prepare


def leveldb(folder: Path) -> None:
    """Make a folder that looks like a LevelDB."""
    (folder / "db").mkdir()
    (folder / "db/CURRENT").write_bytes(b"")


def lmdb_with_labels(*labels: int) -> Callable[[Path], None]:
    """Return what makes an LMDB of datums with these labels (field 5 of Datum)."""

    def prepare(folder: Path) -> None:
        lmdb = pytest.importorskip("lmdb")
        with lmdb.open(str(folder / "db")) as made, made.begin(write=True) as transaction:
            for index, label in enumerate(labels):
                transaction.put(b"%08d" % index, struct.pack("<BB", 5 << 3, label))

    return prepare


def hdf5_with_labels(*labels: float) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        h5py = pytest.importorskip("h5py")
        with h5py.File(folder / "a.h5", "w") as file:
            file["data"] = np.zeros((len(labels), 3, 8, 8), np.float32)
            file["label"] = np.array(labels, np.float32)
        (folder / "list.txt").write_text("a.h5\n")

    return prepare


def two_hdf5_files(folder: Path) -> None:
    h5py = pytest.importorskip("h5py")
    for name, labels in (("a.h5", [0, 1]), ("b.h5", [8])):
        with h5py.File(folder / name, "w") as file:
            file["label"] = np.array(labels, np.float32)
    (folder / "list.txt").write_text("a.h5\nb.h5\n")


def hdf5_without_labels(folder: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "a.h5", "w") as file:
        file["data"] = np.zeros((2, 3, 8, 8), np.float32)
    (folder / "list.txt").write_text("a.h5\n")


def damaged_lmdb(folder: Path) -> None:
    pytest.importorskip("lmdb")
    (folder / "db").mkdir()
    (folder / "db/data.mdb").write_bytes(b"no database")


def cut_off_lmdb(folder: Path) -> None:
    """Make an LMDB of which half is there, as an interrupted copy leaves it."""
    lmdb_with_labels(*[0] * 1000)(folder)
    file = folder / "db/data.mdb"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def solver_state(folder: Path) -> None:
    """Make a SolverState: ``iter`` is field 1, ``learned_net`` field 2."""
    name = b"s_iter_2.caffemodel"
    (folder / "s_iter_2.solverstate").write_bytes(b"\x08\x02\x12" + bytes([len(name)]) + name)


def a_file_in_place_of_a_folder(folder: Path) -> None:
    (folder / "snapshots").write_text("")
    (folder / "out").write_text("")


def other_weights(folder: Path) -> None:
    """Take the float weights for those of the modified model."""
    (folder / MODIFIED[1]).write_bytes((folder / WEIGHTS).read_bytes())


def dummy_label(value: str) -> str:
    return NETWORK.replace('type: "constant" value: 1', value)


FAULTS: dict[str, dict[str, Fault]] = {
    "net": {
        "another": attrs.evolve(solver("net", MODEL, net=MODEL), commands=["check_solver"]),
    },
    "max_iter": {
        "none": solver("max_iter", "it is 0", max_iter=None),
    },
    "search for N": {
        "no test": solver("test_interval", "never searched", test_interval=None),
        "a test that does not come last": solver("test_interval", test_interval=3),
        "a test longer than training": solver("test_interval", "does not", test_interval=8),
        "no forwards": solver("test_iter", "not set", test_iter=None),
    },
    "early tests": {
        "before the first iteration": solver("test_initialization", test_initialization=None),
    },
    "test nets": {
        "too many states": Fault(
            ["- test_state: it is there 2 times"],
            more='test_state { stage: "a" } test_state { stage: "b" }',
        ),
        "two train nets": attrs.evolve(
            solver("train_net", "beside others", train_net=MODIFIED[0]),
            commands=["check_solver", "train"],
        ),
        "a network in the solver": attrs.evolve(
            Fault(["- net_param: it is there beside others"], more="net_param { }"),
            commands=["check_solver", "train"],
        ),
    },
    "learning rate": {
        "none": solver("lr_policy", "not set", "fixed, step", lr_policy=None),
        "an unknown one": solver("lr_policy", "'linear'", lr_policy="linear"),
        "step without stepsize": solver("stepsize", "not set", lr_policy="step"),
        "sigmoid without stepsize": solver("stepsize", lr_policy="sigmoid", stepsize=0),
    },
    "numbers": {
        "base_lr": solver("base_lr", base_lr=float("nan")),
        "iter_size": solver("iter_size", iter_size=0),
        "average_loss": solver("average_loss", average_loss=0),
        "regularization_type": solver("regularization_type", "'L3'", regularization_type="L3"),
    },
    "solver type": {
        "another spelling": solver("type", "'ADAM'", "Adam", type="ADAM"),
    },
    "momentum": {
        "AdaGrad": solver("momentum", "AdaGrad", type="AdaGrad"),
        "RMSProp": solver("momentum", "RMSProp", type="RMSProp"),
        "rms_decay": solver("rms_decay", type="RMSProp", momentum=0.0, rms_decay=1.5),
    },
    "last snapshot": {
        "none at all": solver("snapshot_after_train", "never", snapshot_after_train=False),
        "the last one before the end": solver(
            "snapshot_after_train", "every 3", snapshot_after_train=False, snapshot=3
        ),
    },
    "snapshot folder": {
        "none": attrs.evolve(
            solver("snapshot_prefix", "does not exist", snapshot_prefix="nowhere/s"),
            commands=["check_solver", "train"],
        ),
        "a file": attrs.evolve(
            solver("snapshot_prefix", "is not a folder", snapshot_prefix="snapshots/s"),
            prepare=a_file_in_place_of_a_folder,
        ),
    },
    "snapshot format": {
        "HDF5 and a slash in a name": Fault(
            ["- snapshot_format: ", "'block/relu'"],
            {"snapshot_format": 0},
            text=NETWORK + nets.layer("block/relu", "ReLU", ["ip"], ["relu"]),
        ),
        "HDF5 without h5py": Fault(
            ["- snapshot_format: ", "h5py"],
            {"snapshot_format": 0},
            machine=attrs.evolve(GOOD_MACHINE, reads_hdf5=False),
            commands=["run"],
        ),
    },
    "solver state": {
        "Adam": attrs.evolve(
            solver("type", "'Adam'", "GiB", type="Adam"),
            large=True,
            commands=["train", "run"],
        ),
    },
    "resume": {
        "weights that are gone": Fault(
            ["s_iter_2.solverstate", "learned_net", "'s_iter_2.caffemodel'"],
            prepare=solver_state,
            resume="s_iter_2.solverstate",
            commands=["train"],
        ),
    },
    "Caffe": {
        "not installed": Fault(
            ["- Caffe: pycaffe is not installed", "pip install"],
            machine=attrs.evolve(
                GOOD_MACHINE,
                no_caffe=EnvironmentUnsuitableError(
                    "pycaffe is not installed in this Python.", remedy="pip install it."
                ),
            ),
        ),
    },
    "capabilities": {
        "a type of another Caffe": Fault(
            ["- this Caffe: layer 'loss': it has no layer type SoftmaxWithLoss. Use another."],
            machine=attrs.evolve(
                GOOD_MACHINE,
                lacks=lambda document, solver: iter(
                    [("layer 'loss': it has no layer type SoftmaxWithLoss.", "Use another.")]
                ),
            ),
        ),
    },
    "Python layers": {
        "a module that is not there": Fault(
            ["layer 'source'", "class 'Reader' of module 'no_such_module'", "PYTHONPATH"],
            text=source("Python", 'python_param { module: "no_such_module" layer: "Reader" }'),
            machine=attrs.evolve(
                GOOD_MACHINE,
                problem_of_class=lambda module, name: (
                    None if module == "amct_caffe.layers" else "ModuleNotFoundError"
                ),
            ),
        ),
    },
    "states": {
        "a label that TEST lacks": Fault(
            ["layer 'loss'", "'label'", "TEST net"],
            text=DATA.replace('top: "label"', 'top: "unused"')
            + nets.layer(
                "other",
                "DummyData",
                [],
                ["label"],
                "include { phase: TRAIN } dummy_data_param { shape { dim: 2 } }",
            )
            + NETWORK[len(DATA) :],
        ),
    },
    "sources": {
        "a database": Fault(["layer 'source'", "'db'", "data_param.source"], text=LMDB),
        "a mean file": Fault(
            ["layer 'source'", "'mean.binaryproto'", "transform_param.mean_file"],
            text=source(
                "ImageData",
                'transform_param { mean_file: "mean.binaryproto" } '
                'image_data_param { source: "list.txt" batch_size: 2 root_folder: "images/" }',
            ),
            prepare=images("0.png 0"),
        ),
        "a list of images": Fault(["'list.txt'", "image_data_param.source"], text=IMAGES),
        "an image": Fault(
            ["'images/7.png'"], text=IMAGES, prepare=images("0.png 0", "7.png 1", "8.png 1")
        ),
        "an HDF5 file": Fault(
            ["'a.h5'"],
            text=HDF5,
            prepare=lambda folder: (folder / "list.txt").write_text("a.h5\n") and None,
        ),
        "an empty list": Fault(["is empty"], text=IMAGES, prepare=images()),
    },
    "database backend": {
        "an LMDB as LevelDB": Fault(
            ["layer 'source'", "LEVELDB", "default", "backend: LMDB"],
            text=LMDB.replace("backend: LMDB", ""),
            prepare=lmdb_with_labels(0, 1),
        ),
        "a LevelDB as LMDB": Fault(
            ["layer 'source'", "backend: LEVELDB"], text=LMDB, prepare=leveldb
        ),
    },
    "data layers": {
        "MemoryData in TEST": Fault(
            ["layer 'source'", "MemoryData", "phase TEST"], text=in_test("MemoryData", MEMORY)
        ),
        "MemoryData in TRAIN, which no script feeds": Fault(
            ["phase TRAIN"],
            text=source("MemoryData", MEMORY),
            commands=["train", "run"],
            lines=2,
        ),
    },
    "labels": {
        "constants": Fault(
            ["layer 'data'", "label 5 ", "'loss' (SoftmaxWithLoss), which has 5", "0 to 4"],
            text=dummy_label('type: "constant" value: 5'),
        ),
        "uniform": Fault(
            ["layer 'data'", "'uniform'"], text=dummy_label('type: "uniform" min: 0 max: 7')
        ),
        "a negative one": Fault(["label -1 "], text=dummy_label('type: "constant" value: -1')),
        "in a list of images": Fault(
            ["layer 'source'", "label 17 ", "line 3 of 'list.txt'"],
            text=IMAGES,
            prepare=images("0.png 0", "1.png 4", "2.png 17"),
        ),
        "in an HDF5 file": Fault(
            ["layer 'source'", "label 6 ", "number 1 of 'a.h5'"],
            text=HDF5,
            prepare=hdf5_with_labels(4, 6),
        ),
        "in the second of two HDF5 files": Fault(
            ["label 8 ", "number 0 of 'b.h5'"], text=HDF5, prepare=two_hdf5_files
        ),
        "no such data set": Fault(
            ["a.h5, layer 'source'", "no data set 'label'"],
            text=HDF5,
            prepare=hdf5_without_labels,
        ),
        "a damaged LMDB": Fault(["db, layer 'source'", "LMDB"], text=LMDB, prepare=damaged_lmdb),
        "an LMDB that is cut off": Fault(
            ["db, layer 'source'", "cut off", "bytes"], text=LMDB, prepare=cut_off_lmdb
        ),
        "an empty LMDB": Fault(
            ["db, layer 'source'", "it is empty"], text=LMDB, prepare=lmdb_with_labels()
        ),
        "in an LMDB": Fault(
            ["layer 'source'", "label 9 ", "record '00000002' of 'db'"],
            text=LMDB,
            prepare=lmdb_with_labels(0, 4, 9),
        ),
    },
    "nets": {
        "what Caffe says": Fault(
            ["- nets: ", "Caffe cannot build them: Check failed: no mean."],
            machine=attrs.evolve(
                GOOD_MACHINE, problem_of_building=lambda rehearsal: "Check failed: no mean"
            ),
        ),
    },
    "weights": {
        "of the float model": Fault(
            [MODIFIED[1], "conv_activation_qat", "expected those of the modified model"],
            prepare=other_weights,
            commands=["train"],
        ),
    },
}
"""By name of the check, what it finds."""


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
