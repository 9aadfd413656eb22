"""The files of a snapshot: their names, whether they are whole, and what the state refers to.

Source: ``SnapshotFilename`` of BVLC Caffe's solver.cpp, ``SnapshotSolverStateToBinaryProto`` and
``SnapshotSolverStateToHDF5`` of its sgd_solver.cpp.
"""

from __future__ import annotations

import glob
import os
import re
from typing import List, NamedTuple, Optional

from amct_caffe.model.formats.caffemodel.wire import LENGTH_DELIMITED, walk
from amct_caffe.model.formats.prototxt.solver import Solver
from amct_core.cli.installing import how_to_install
from amct_core.errors import EnvironmentUnsuitableError, FileFormatError
from amct_core.files import map_file

_LEARNED_NET = 2
"""The field of SolverState that names the weights of the snapshot."""

_NUMBER = re.compile(r"_iter_(\d+)\.solverstate(?:\.h5)?$")


class Snapshot(NamedTuple):
    """The two files of one snapshot, and after how many iterations it was taken."""

    iteration: int
    weights: str
    state: str

    @property
    def is_whole(self) -> bool:
        """Whether both files are there to their ends, as far as their outer structure says."""
        return _is_whole(self.weights) and _is_whole(self.state)


def snapshot_of(solver: Solver, iteration: int) -> Snapshot:
    """Return the names that Caffe gives a snapshot after ``iteration`` iterations."""
    ending = ".h5" if solver.snapshots_are_hdf5 else ""
    stem = f"{solver.snapshot_prefix}_iter_{iteration}"
    return Snapshot(iteration, f"{stem}.caffemodel{ending}", f"{stem}.solverstate{ending}")


def snapshots_of(solver: Solver) -> List[Snapshot]:
    """Return the snapshots of which a state is there, those of most iterations first."""
    found = []
    for path in glob.glob(f"{glob.escape(solver.snapshot_prefix)}_iter_*.solverstate*"):
        number = _NUMBER.search(path)
        if number and path == snapshot_of(solver, int(number[1])).state:
            found.append(snapshot_of(solver, int(number[1])))
    return sorted(found, reverse=True)


def weights_of_state(state_file: str) -> Optional[str]:
    """Return the file of weights that a ``.solverstate`` names; None if it names none.

    Raises:
        FileFormatError: it cannot be read.
        EnvironmentUnsuitableError: it is HDF5, and h5py is not installed.
    """
    if state_file.endswith(".h5"):
        return _named_in_hdf5(state_file)
    buffer = map_file(state_file)
    for field in walk(buffer, 0, len(buffer), state_file):
        if field.number == _LEARNED_NET and field.wire_type == LENGTH_DELIMITED:
            return bytes(buffer[field.start : field.end]).decode("utf-8", "replace")
    return None


def _named_in_hdf5(path: str) -> Optional[str]:
    try:
        import h5py
    except ImportError as error:
        raise EnvironmentUnsuitableError(
            "the weights of this snapshot are named in it, and h5py, which reads it, is not "
            "installed.",
            remedy=f"Give them with --weights, or run: {how_to_install('amct[hdf5]')}.",
        ) from error
    try:
        with h5py.File(path, "r") as file:
            name = file["learned_net"][()]
    except (OSError, KeyError) as error:
        raise FileFormatError(
            f"it is no state of a solver: {error}.", file=path, remedy="Give another snapshot."
        ) from error
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _is_whole(path: str) -> bool:
    """Return whether a message of protobuf ends with the file; of HDF5, whether there is one."""
    try:
        if os.path.getsize(path) == 0:
            return False
        if not path.endswith(".h5"):
            buffer = map_file(path)
            for _ in walk(buffer, 0, len(buffer), path):
                pass
    except (OSError, FileFormatError):
        return False
    return True
