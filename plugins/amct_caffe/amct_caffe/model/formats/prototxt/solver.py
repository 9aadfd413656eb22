"""A solver's prototxt."""

from __future__ import annotations

import os
from typing import List, Optional, Tuple

import attrs

from amct_caffe.model.formats.prototxt.phases import state_of
from amct_caffe.model.schema.fields import enum_name
from amct_caffe.model.schema.pool import message_descriptor
from amct_caffe.model.schema.validation import validate
from amct_core.errors import FileFormatError
from amct_core.files import read_text
from amct_core.network_state import NetworkState, NetworkStates
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
_TRAIN_FIELDS = ("train_net_param", "train_net", "net_param", "net")
_TEST_FIELDS = ("test_net_param", "test_net")
_NET_FIELDS = (*_TRAIN_FIELDS, *_TEST_FIELDS)


@attrs.frozen
class SolverNet:
    """One testing net that a solver makes.

    Attributes:
        index: which of the testing nets it is, from 0.
        field: of the solver that names it, such as ``net`` or ``test_net``.
        file: the net's file; None: the net is written out in the solver.
        state: what the solver says of its state.
    """

    index: int
    field: str
    file: Optional[str]
    state: NetworkState


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
    def train_fields(self) -> List[str]:
        """The fields that name a training network; Caffe wants one."""
        return [field for field in _TRAIN_FIELDS if self.message.has(field)]

    @property
    def train_state(self) -> NetworkState:
        """What it says of the state of the training net."""
        return state_of(self.message.message("train_state") or Message())

    @property
    def test_states(self) -> List[NetworkState]:
        """What it says of the states of the testing nets; none, or one per net."""
        return [state_of(message) for message in self.message.messages("test_state")]

    @property
    def states(self) -> NetworkStates:
        """The states of the training net and of the first testing net."""
        return NetworkStates(self.train_state, next(iter(self.test_states), NetworkState()))

    def testing_nets(self) -> List[SolverNet]:
        """Return the testing nets in Caffe's order.

        First each ``test_net_param`` and each ``test_net``; then ``net`` or ``net_param``, for each
        ``test_iter`` that is left.  Source: BVLC Caffe, ``Solver::InitTestNets``.
        """
        named = [("test_net_param", None)] * len(self.message.messages("test_net_param"))
        found: List[Tuple[str, Optional[str]]] = [
            *named,
            *(("test_net", n) for n in self.test_nets),
        ]
        general = next((field for field in ("net", "net_param") if self.message.has(field)), None)
        if general is not None:
            copies = max(len(self.test_iter) - len(found), 0)
            found += [(general, self.net if general == "net" else None)] * copies
        states = self.test_states or [NetworkState()] * len(found)
        return [
            SolverNet(index, field, file, state)
            for index, ((field, file), state) in enumerate(zip(found, states))
        ]

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
    def iter_size(self) -> int:
        """Forward and backward passes of an iteration."""
        return self.message.integer("iter_size", 1) or 1

    @property
    def average_loss(self) -> int:
        """How many of the last losses the loss in the log is the mean of."""
        return self.message.integer("average_loss", 1) or 1

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


def replaced_nets(solver: Solver, original: str) -> List[SolverNet]:
    """Return the testing nets behind the first one that are another network than ``original``.

    Copies of ``net`` and ``net_param`` are not: these are what is trained.
    """
    return [
        each
        for each in solver.testing_nets()[1:]
        if each.field in _TEST_FIELDS and (each.file is None or not same_file(each.file, original))
    ]


def redirect(solver: Solver, net: str, snapshot_prefix: str, original: str) -> Solver:
    """Return the solver for another network, with snapshots elsewhere.

    ``net`` takes the place of the training net, of the first testing net, and of those that are
    ``original``; :func:`replaced_nets` are the others, which go, and their ``test_iter`` and
    ``test_state`` with them: Caffe insists on one of each per testing net.
    """
    message = solver.message.copy()
    nets = solver.testing_nets()
    gone = {each.index for each in replaced_nets(solver, original)}
    for field in ("test_iter", "test_state"):
        values = message.fields(field)
        if len(values) == len(nets):
            message.set_all(field, [v for index, v in enumerate(values) if index not in gone])
    for field in _NET_FIELDS:
        message.remove(field)
    message.set("net", net)
    message.set("snapshot_prefix", snapshot_prefix)
    return Solver(message, solver.file)


def same_file(first: str, second: str) -> bool:
    """Return whether two paths are one file, which need not exist."""
    if os.path.exists(first) and os.path.exists(second):
        return os.path.samefile(first, second)
    return os.path.abspath(first) == os.path.abspath(second)
