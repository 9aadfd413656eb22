"""Faults of a training, by the check that finds them; a machine is made up, so none needs Caffe."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import attrs
import numpy as np
import pytest

from amct_caffe.checks.machine import Machine
from amct_core.errors import (
    EnvironmentUnsuitableError,
)
from plugins.amct_caffe.tests.checks.float_models import (
    DATA,
    MODEL,
    MODIFIED,
    NETWORK,
    WEIGHTS,
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
