"""The last snapshot, without which a training was for nothing.

Source: ``Solve``, ``SnapshotFilename`` and ``CheckSnapshotWritePermissions`` of BVLC Caffe's
solver.cpp.
"""

from __future__ import annotations

import os
from typing import Iterator

from amct_caffe.checks.check import Violation
from amct_caffe.checks.file_sizes import MESSAGE_LIMIT
from amct_caffe.checks.training_setup import TrainingSetup
from amct_caffe.model.formats.snapshots import weights_of_state
from amct_core.cli.installing import how_to_install
from amct_core.errors import FileFormatError

_COPIES_OF_TWO = ("AdaDelta", "Adam")
"""The solver types that remember two numbers for each weight; the others remember one."""


def no_last_snapshot(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield that no snapshot comes after the last iteration."""
    solver = setup.solver
    interval = solver.snapshot_interval
    if solver.snapshot_after_train or (interval > 0 and solver.max_iter % interval == 0):
        return
    taken = f"every {interval} iterations" if interval > 0 else "never"
    yield Violation(
        "snapshot_after_train",
        f"it is false, and snapshots are taken {taken}: none holds what is learned by max_iter = "
        f"{solver.max_iter}.",
        "Leave snapshot_after_train out, or set snapshot to a divisor of max_iter.",
    )


def unwritable_folder(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield that Caffe cannot write to the folder of the snapshots; it makes none."""
    prefix = setup.solver.snapshot_prefix
    folder = os.path.dirname(os.path.abspath(prefix))
    if setup.makes_folders:
        while not os.path.lexists(folder):
            folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        problem = "is not a folder" if os.path.lexists(folder) else "does not exist"
        yield Violation(
            "snapshot_prefix",
            f"it is '{prefix}', but '{folder}' {problem}: Caffe makes no folders, and ends the "
            "process when it writes the snapshot.",
            "Make the folder, or set another snapshot_prefix.",
        )
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield Violation(
            "snapshot_prefix",
            f"it is '{prefix}', but nothing can be written to '{folder}'.",
            "Change the permissions of the folder, or set another snapshot_prefix.",
        )


def unusable_format(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield that a snapshot cannot be written, or not be read here, where it is saved at once."""
    if setup.solver.snapshots_are_hdf5:
        named = [layer.name for layer in setup.document.layers_in("TRAIN") if "/" in layer.name]
        if named:
            yield Violation(
                "snapshot_format",
                "it is HDF5, where a slash separates groups; Caffe ends the process at a layer "
                f"with one in its name, such as '{named[0]}'.",
                "Leave snapshot_format out.",
            )
    if setup.saves and setup.solver.snapshots_are_hdf5 and not setup.machine.reads_hdf5:
        yield Violation(
            "snapshot_format",
            "it is HDF5, and h5py, which reads such a snapshot, is not installed.",
            f"Leave snapshot_format out, or run: {how_to_install('amct[hdf5]')}.",
        )


def too_large_state(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield that the solver's own state could not be written: it is one message of protobuf."""
    solver = setup.solver
    if setup.learnable_bytes is None or solver.snapshots_are_hdf5:
        return
    size = setup.learnable_bytes() * (2 if solver.type in _COPIES_OF_TWO else 1)
    if size > MESSAGE_LIMIT:
        yield Violation(
            "type",
            f"it is '{solver.type}', whose state would take {size / 2**30:.2f} GiB in each "
            "snapshot; Caffe cannot write files of 2 GiB, and ends the process.",
            'Set type: "SGD", or snapshot_format: HDF5, or leave large layers unquantized.',
        )


def lost_snapshots(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield that the weights are gone which the state to go on from belongs to."""
    if setup.resume is None or setup.resume.endswith(".h5"):
        return
    try:
        weights = weights_of_state(setup.resume)
    except FileFormatError as error:
        yield Violation.of(error)
        return
    if weights is not None and not os.path.isfile(weights):
        yield Violation(
            "learned_net",
            f"it is '{weights}', and there is no such file (in '{os.getcwd()}').",
            "Run in the folder that the training was started in, or put the file there.",
            file=setup.resume,
        )
