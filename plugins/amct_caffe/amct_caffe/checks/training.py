"""The checks before training, on the machine that trains."""

from __future__ import annotations

import logging
from typing import Callable, Iterator, Tuple

from amct_caffe.checks import solver_for_qat
from amct_caffe.checks.caffe import missing_caffe, missing_capabilities, missing_classes
from amct_caffe.checks.check import Check, Violation, find_all, listed
from amct_caffe.checks.data import (
    layers_without_data,
    missing_sources,
    wrong_backends,
)
from amct_caffe.checks.labels import labels_out_of_range
from amct_caffe.checks.learning import unknown_learning_rates, unusable_numbers
from amct_caffe.checks.nets import unbuildable_nets
from amct_caffe.checks.snapshots import (
    lost_snapshots,
    no_last_snapshot,
    too_large_state,
    unusable_format,
    unwritable_folder,
)
from amct_caffe.checks.solver_for_qat import TrainingNeeds
from amct_caffe.checks.solver_nets import count_violations, searching_nets, state_violations
from amct_caffe.checks.solver_types import unknown_solver_types, wrong_momentum
from amct_caffe.checks.training_setup import TrainingSetup
from amct_caffe.checks.training_weights import wrong_weights
from amct_caffe.checks.trains_nothing import what_trains_nothing
from amct_caffe.model.formats.prototxt.solver import Solver
from amct_core.errors import TrainingError

_log = logging.getLogger("amct_caffe.checks")

Find = Callable[[TrainingSetup], Iterator[Violation]]


def _of_solver(find: Callable[[Solver, TrainingNeeds], Iterator[Violation]]) -> Find:
    return lambda setup: find(setup.solver, setup.needs)


TRAINING_CHECKS: Tuple[Check[TrainingSetup], ...] = (
    Check(
        "net",
        "a solver of another network than the modified model",
        lambda setup: solver_for_qat.wrong_nets(setup.solver, setup.model_file),
    ),
    Check(
        "max_iter",
        "fewer iterations than the clip bounds take to be initialised",
        _of_solver(solver_for_qat.too_short),
    ),
    Check(
        "search for N",
        "a solver without a TEST pass of batch_num forwards after the last iteration",
        lambda setup: solver_for_qat.no_search(
            setup.solver, setup.needs, searching_nets(setup.solver, setup.document)
        ),
    ),
    Check(
        "early tests",
        "a TEST pass before the clip bounds are initialised",
        _of_solver(solver_for_qat.early_tests),
    ),
    Check(
        "test nets",
        "numbers of test_iter, test_state and test nets that do not fit each other",
        lambda setup: count_violations(setup.solver, setup.needs.searches),
    ),
    Check(
        "states",
        "a net in a state for which the model was not made, or that Caffe cannot make: a bottom "
        "that no layer makes",
        lambda setup: state_violations(setup.solver, setup.document),
    ),
    Check(
        "learning rate",
        "an unknown lr_policy; one without the stepsize that it needs",
        unknown_learning_rates,
    ),
    Check(
        "numbers",
        "base_lr that is no number; iter_size or average_loss below 1; an unknown "
        "regularization_type",
        unusable_numbers,
    ),
    Check("solver type", "a solver type that this Caffe lacks", unknown_solver_types),
    Check(
        "momentum",
        "momentum where the solver type has none, rms_decay that is not below 1",
        wrong_momentum,
    ),
    Check(
        "last snapshot",
        "snapshot settings that leave none after the last iteration",
        no_last_snapshot,
    ),
    Check(
        "snapshot folder",
        "a folder for snapshots that does not exist or cannot be written to",
        unwritable_folder,
    ),
    Check(
        "snapshot format",
        "`snapshot_format: HDF5` with a slash in a layer's name; or, in `amct qat run`, where h5py "
        "is not installed",
        unusable_format,
    ),
    Check(
        "solver state",
        "a solver whose state is above 2 GiB, as Adam's with weights of some 500 MB",
        too_large_state,
    ),
    Check("resume", "a `.solverstate` whose weights are not there", lost_snapshots),
    Check("Caffe", "a Python without a pycaffe that can be imported", missing_caffe),
    Check(
        "capabilities",
        "what this Caffe cannot do (`amct doctor` shows it): layer types, databases, HDF5 "
        "snapshots, training of BatchNorm, rounding of Pooling, layers without a backward",
        missing_capabilities,
    ),
    Check(
        "Python layers",
        "Python layers whose module or class cannot be imported",
        missing_classes,
    ),
    Check(
        "sources",
        "data, images, lists and mean files that are not there; empty lists",
        missing_sources,
    ),
    Check(
        "database backend",
        "an LMDB that would be opened as a LevelDB, Caffe's default, or the other way round",
        wrong_backends,
    ),
    Check(
        "data layers",
        "MemoryData in TEST, and in TRAIN where no script can feed it",
        layers_without_data,
    ),
    Check(
        "labels",
        "labels that are no class, and files of labels that cannot be read: DummyData, ImageData, "
        "HDF5Data (with h5py), and the first 1000 records of an LMDB (with lmdb)",
        labels_out_of_range,
    ),
    Check(
        "weights",
        "weights that are not there, or not those of the modified model",
        wrong_weights,
    ),
)
"""Everything that is looked at, in the order in which it is told."""

BUILDING_CHECKS: Tuple[Check[TrainingSetup], ...] = (
    Check(
        "nets",
        "whatever else ends Caffe when it builds the solver's nets: fields that it does not know, "
        "shapes that do not fit, a mean file of another size",
        unbuildable_nets,
    ),
)
"""What is tried in Caffe where nothing else is found."""

CHECKS = (*TRAINING_CHECKS, *BUILDING_CHECKS)
"""All of them."""


def require_trainable(setup: TrainingSetup) -> None:
    """Raise a TrainingError that tells everything that :data:`CHECKS` find.

    What trains nothing but does no harm is warned of.
    """
    violations = list(find_all(TRAINING_CHECKS, setup)) or list(find_all(BUILDING_CHECKS, setup))
    if violations:
        raise TrainingError(
            f"this solver will not do for quantization-aware training:\n{listed(violations)}",
            file=setup.solver.file,
        )
    for warning in what_trains_nothing(setup):
        _log.warning("'%s': %s", setup.solver.file, warning)
