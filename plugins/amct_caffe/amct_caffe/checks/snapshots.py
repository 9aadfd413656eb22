"""The last snapshot, without which a training was for nothing.

Source: ``Solve``, ``SnapshotFilename`` and ``CheckSnapshotWritePermissions`` of BVLC Caffe's
solver.cpp.
"""

from __future__ import annotations

import os
from typing import Iterator

from amct_caffe.checks.check import Violation
from amct_caffe.checks.training_setup import TrainingSetup


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


def unreadable_snapshot(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield that the last snapshot could not be read here, where it is saved at once."""
    if setup.saves and setup.solver.snapshots_are_hdf5 and not setup.machine.reads_hdf5:
        yield Violation(
            "snapshot_format",
            "it is HDF5, and h5py, which reads such a snapshot, is not installed.",
            "Leave snapshot_format out, or pip install h5py.",
        )
