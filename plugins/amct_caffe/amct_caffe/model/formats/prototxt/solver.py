"""A solver's prototxt."""

from __future__ import annotations

import os
from typing import List, Optional

import attrs

from amct_caffe.model.schema.fields import enum_name
from amct_caffe.model.schema.pool import message_descriptor
from amct_caffe.model.schema.validation import validate
from amct_core.errors import FileFormatError
from amct_core.files import read_text
from amct_core.textproto import Message, format_message, parse
from amct_core.textproto.tree import to_value

_TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}
_NET_FIELDS = ("net", "net_param", "train_net", "train_net_param", "test_net", "test_net_param")


@attrs.frozen
class Solver:
    """What a solver says about its nets, its length and its tests; Caffe's defaults filled in."""

    message: Message
    file: Optional[str] = None

    @property
    def net(self) -> Optional[str]:
        """The network's file, for training and testing."""
        return self.message.string("net")

    @property
    def train_net(self) -> Optional[str]:
        """The training network's file."""
        return self.message.string("train_net")

    @property
    def test_nets(self) -> List[str]:
        """The testing networks' files."""
        return self.message.strings("test_net")

    @property
    def max_iter(self) -> int:
        """The number of training iterations."""
        return self.message.integer("max_iter") or 0

    @property
    def test_interval(self) -> int:
        """Training iterations between TEST passes; 0: none."""
        return self.message.integer("test_interval") or 0

    @property
    def test_iter(self) -> List[int]:
        """Forwards of a TEST pass, one per testing network."""
        return self.message.integers("test_iter")

    @property
    def test_initialization(self) -> bool:
        """Whether a TEST pass runs before the first iteration."""
        return bool(self.message.boolean("test_initialization", True))

    @property
    def snapshot_interval(self) -> int:
        """Training iterations between snapshots; 0: only the one at the end."""
        return self.message.integer("snapshot") or 0

    @property
    def snapshot_after_train(self) -> bool:
        """Whether a snapshot is taken after the last iteration, in any case."""
        return bool(self.message.boolean("snapshot_after_train", True))

    @property
    def snapshots_are_hdf5(self) -> bool:
        """Whether snapshots are HDF5 files, and not binary Caffe models."""
        return self.message.enum("snapshot_format") in ("HDF5", "0")

    @property
    def display(self) -> int:
        """Training iterations between lines of the log; 0: none."""
        return self.message.integer("display") or 0

    @property
    def type(self) -> str:
        """The kind of solver, such as ``SGD`` or ``Adam``."""
        return self.message.string("type") or "SGD"

    @property
    def snapshot_prefix(self) -> str:
        """Folder and prefix of snapshots.

        As in Caffe (``UpgradeSnapshotPrefixProperty``), the default is the solver's path without
        its extension, and a prefix that is a folder is completed with the solver's file name.
        """
        default = os.path.splitext(self.file or "")[0]
        prefix = self.message.string("snapshot_prefix")
        if prefix is None:
            return default
        if os.path.isdir(prefix):
            return os.path.join(prefix, os.path.basename(default))
        return prefix

    def format(self) -> str:
        """Return the solver's prototxt."""
        return format_message(self.message)


def read(path: str) -> Solver:
    """Read a solver; an old ``solver_type: ADAM`` becomes ``type: "Adam"``, as in Caffe.

    Unknown fields are kept, in order; comments are not.

    Raises:
        FileFormatError: naming file, line, what was found and what was expected.
    """
    message = parse(read_text(path), path)
    validate(message, "SolverParameter", path)
    if message.has("layer") or message.has("layers"):
        raise FileFormatError(
            "it is a network; expected a solver.",
            file=path,
            remedy="Give the solver's prototxt, the one with max_iter and base_lr.",
        )
    _upgrade_type(message, path)
    return Solver(message, path)


def _upgrade_type(message: Message, path: str) -> None:
    """Replace the old enum, in its place.  Source: BVLC Caffe, ``UpgradeSolverType``."""
    old = message.enum("solver_type")
    if old is None:
        return
    if message.has("type"):
        raise FileFormatError(
            "it has both 'solver_type' and 'type'; expected one of them.",
            file=path,
            field="solver_type",
            remedy="Remove solver_type.",
        )
    field = message_descriptor("SolverParameter").fields_by_name["solver_type"]
    for entry in message:
        if entry.name == "solver_type":
            entry.name, entry.value = "type", to_value(_TYPES[enum_name(field, old)])


def redirect(solver: Solver, net: str, snapshot_prefix: str) -> Solver:
    """Return the solver for another network, with snapshots elsewhere."""
    message = solver.message.copy()
    for field in _NET_FIELDS:
        message.remove(field)
    message.set("net", net)
    message.set("snapshot_prefix", snapshot_prefix)
    return Solver(message, solver.file)
