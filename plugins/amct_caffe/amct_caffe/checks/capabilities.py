"""Whether the Caffe that is installed can do what a training run asks of it.

What it cannot do would end the process, hours later in the worst case.  It is asked in processes of
its own: :mod:`amct_caffe.runtime.capabilities`.
"""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, Tuple

import attrs

from amct_caffe.model.formats.prototxt.document import Layer, NetDocument
from amct_caffe.model.formats.prototxt.solver import Solver
from amct_caffe.model.layer_type import attributes_of, layer_type
from amct_caffe.model.layer_types.data import Database
from amct_caffe.passes.backward import find_obstacles
from amct_caffe.passes.batch_norm_statistics import STATISTICS, has_statistics, is_frozen
from amct_caffe.passes.python_layers import is_python_layer
from amct_caffe.runtime.capabilities.asking import capabilities
from amct_core.extensions.capability import Capability

_INSERT_AGAIN = "Insert again on this machine; BatchNorm is then frozen."
_ROUNDINGS = ("round_mode", "ceil_mode")


@attrs.frozen
class Run:
    """A training run: what Caffe is going to read.

    Attributes:
        document: the network, the modified model or the one before insertion.
        solver: its solver.
    """

    document: NetDocument
    solver: Solver

    @property
    def training(self) -> List[Layer]:
        """The layers of the TRAIN phase."""
        return self.document.layers_in("TRAIN")


Problems = Iterator[Tuple[str, str]]
"""What is in the way, and what to do about it."""


def what_caffe_lacks(document: NetDocument, solver: Solver) -> Problems:
    """Yield each layer or field that the installed Caffe cannot do, and what to do.

    Where there is no Caffe, nothing is found here.
    """
    run = Run(document, solver)
    asked = [need for need in _NEEDS if need.applies(run)]
    answers = capabilities(*dict.fromkeys(need.capability for need in asked)) if asked else {}
    if answers:
        for need in asked:
            yield from need.problems(run, answers[need.capability])


@attrs.frozen
class Need:
    """What some training runs ask of Caffe.

    Attributes:
        capability: the question that decides.
        applies: whether a run asks for it.
        problems: what is in the way, given the answer.
    """

    capability: str
    applies: Callable[[Run], bool]
    problems: Callable[[Run, Capability], Problems]


def _layer_types(run: Run, answer: Capability) -> Problems:
    if not answer.there:
        return
    missing: Dict[str, str] = {}
    for phase in ("TRAIN", "TEST"):
        for layer in run.document.layers_in(phase):
            if layer.type not in answer.found:
                missing.setdefault(layer.type, layer.name)
    for kind, name in missing.items():
        yield (
            f"layer '{name}': it has no layer type {kind}.",
            "Use a Caffe that was built with it, or another layer.",
        )


def _databases(run: Run, backend: str) -> List[Layer]:
    """Return the layers that read a database of this kind; Caffe's default is LevelDB."""
    numbers = {"LEVELDB": "0", "LMDB": "1"}
    return [
        layer
        for layer in run.document.layers
        if isinstance(attributes_of(layer), Database)
        and (layer.parameters("data_param").enum("backend") or "LEVELDB")
        in (backend, numbers[backend])
    ]


def _database(backend: str) -> Need:
    def problems(run: Run, answer: Capability) -> Problems:
        if not answer.there:
            for layer in _databases(run, backend):
                yield (
                    f"layer '{layer.name}': it cannot read {backend} ({answer.sentence}).",
                    "Convert the data, or use a Caffe that was built with it.",
                )

    return Need(backend.lower(), lambda run: bool(_databases(run, backend)), problems)


def _writes_hdf5(run: Run) -> bool:
    return run.solver.message.enum("snapshot_format") in ("HDF5", "0")


def _hdf5_snapshots(run: Run, answer: Capability) -> Problems:
    if not answer.there:
        yield (
            f"snapshot_format: it cannot write HDF5 ({answer.sentence}).",
            "Set snapshot_format: BINARYPROTO.",
        )


def _trained(run: Run) -> List[Layer]:
    """Return the BatchNorm layers that follow their batch."""
    return [layer for layer in run.training if has_statistics(layer) and not is_frozen(layer)]


def _is_modified(run: Run) -> bool:
    return any(is_python_layer(layer, "ActivationQAT") for layer in run.document.layers)


def _batch_norm_trained(run: Run, answer: Capability) -> Problems:
    if not answer.there:
        yield (
            f"layer '{_trained(run)[0].name}': it cannot train BatchNorm ({answer.sentence}).",
            _INSERT_AGAIN,
        )


def _shared_statistics(run: Run) -> List[str]:
    """Return the BatchNorm layers whose statistics a ShiftSearch shares by name."""
    owners = {
        spec.name: layer.name
        for layer in run.training
        if has_statistics(layer)
        for spec in layer.param_specs
        if spec.name
    }
    shared = [
        owners[spec.name]
        for layer in run.training
        if is_python_layer(layer, "ShiftSearch")
        for spec in layer.param_specs
        if spec.name in owners
    ]
    return list(dict.fromkeys(shared))


def _names_kept(run: Run, answer: Capability) -> Problems:
    if not answer.there:
        yield (
            f"layer '{_shared_statistics(run)[0]}': it clears the names of BatchNorm's parameters, "
            "by which the search for shift N sees its statistics.",
            _INSERT_AGAIN,
        )


def _unmasked(run: Run) -> List[Layer]:
    """Return the BatchNorm layers whose specs do not say that statistics stand still."""
    return [
        layer
        for layer in run.training
        if has_statistics(layer)
        and [spec.lr_mult for spec in layer.param_specs].count(0) < STATISTICS
    ]


def _rates_masked(run: Run, answer: Capability) -> Problems:
    if not answer.there:
        yield (
            f"layer '{_unmasked(run)[0].name}': its weight decay moves BatchNorm's statistics "
            "where no param says lr_mult: 0.",
            "Insert again: insertion now says so.",
        )


def _roundings(run: Run) -> List[Tuple[Layer, str]]:
    return [
        (layer, field)
        for layer in run.document.layers
        for field in _ROUNDINGS
        if layer.parameters("pooling_param").has(field)
    ]


def _rounds_down(run: Run, answer: Capability) -> Problems:
    for layer, field in _roundings(run):
        if field not in answer.found:
            others = [other for other in answer.found if other != field]
            yield (
                f"layer '{layer.name}': its Pooling does not know {field}.",
                f"Say it with {others[0]}." if others else "Use a Caffe that does.",
            )


def _may_lack_backward(run: Run) -> bool:
    """Return whether a gradient meets a type that has no backward pass, or may have none."""
    types = {
        layer.type
        for layer in run.training
        if not layer_type(layer).is_known or not layer_type(layer).has_backward
    }
    return any(obstacle.learns for obstacle in find_obstacles(run.training, frozenset(types)))


def _backward(run: Run, answer: Capability) -> Problems:
    for obstacle in find_obstacles(run.training, frozenset(answer.found)):
        if obstacle.learns:
            yield (
                f"layer '{obstacle.layer}': {obstacle.type} has no backward pass, and "
                f"'{obstacle.learns[-1]}' before it learns.",
                f"{obstacle.remedy.capitalize()}.",
            )


_NEEDS = (
    Need("layer_types", lambda run: True, _layer_types),
    _database("LMDB"),
    _database("LEVELDB"),
    Need("hdf5_snapshots", _writes_hdf5, _hdf5_snapshots),
    Need(
        "batch_norm_trained",
        lambda run: _is_modified(run) and bool(_trained(run)),
        _batch_norm_trained,
    ),
    Need("batch_norm_names_kept", lambda run: bool(_shared_statistics(run)), _names_kept),
    Need(
        "batch_norm_rates_masked",
        lambda run: _is_modified(run) and bool(_unmasked(run)),
        _rates_masked,
    ),
    Need("pooling_rounds_down", lambda run: bool(_roundings(run)), _rounds_down),
    Need("layers_without_backward", _may_lack_backward, _backward),
)
