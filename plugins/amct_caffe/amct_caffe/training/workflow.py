"""Training steps for the command line: check a solver, run it, and all steps in turn."""

from __future__ import annotations

import logging
import os
import tempfile
from typing import Mapping, Optional, Tuple

from amct_caffe.checks.file_sizes import learnable_bytes
from amct_caffe.checks.machine import this_machine
from amct_caffe.checks.solver_for_qat import TrainingNeeds
from amct_caffe.checks.training import require_trainable
from amct_caffe.checks.training_setup import TrainingSetup
from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt import solver as solvers
from amct_caffe.model.formats.prototxt.document import NetDocument
from amct_caffe.model.formats.prototxt.solver import Solver
from amct_caffe.passes.inserted import read_inserted
from amct_caffe.runtime.rehearsal import Rehearsal
from amct_core import workflow
from amct_core.config import json_format
from amct_core.config.check import check_names
from amct_core.config.model import QatConfig
from amct_core.deploy_choice import COMMANDS_DEFAULT, deploy_choice
from amct_core.errors import ConfigError, ModelError
from amct_core.file_names import WorkFiles, work_files
from amct_core.files import FileSet, read_text
from amct_core.plugins import registries

_log = logging.getLogger("amct_caffe.training")


def train(solver_file: str, weights_file: str, resume: Optional[str] = None) -> str:
    """Train the modified model that a solver names.

    Args:
        solver_file: the solver's prototxt; its ``net`` is a modified model.
        weights_file: the modified model's weights.
        resume: a ``.solverstate`` to go on from.

    Returns:
        The last snapshot.

    Raises:
        AmctError: the solver would not do, or training failed.
    """
    solver, _ = check_training(solver_file, weights_file, resume)
    from amct_caffe.runtime.training import run_solver

    run_solver(solver_file, solver.max_iter, weights_file, resume)
    return last_snapshot(solver)


def check_training(
    solver_file: str, weights_file: str, resume: Optional[str], rehearses: bool = True
) -> Tuple[Solver, NetDocument]:
    """Return the solver and the modified model; arguments as :func:`train` takes them.

    Args:
        solver_file, weights_file, resume: as for :func:`train`.
        rehearses: whether Caffe builds the nets in a process of its own first.

    Raises:
        AmctError: the solver would not do, or a file is missing.
    """
    solver = solvers.read(solver_file)
    model_file = solver.net or solver.train_net
    if model_file is None:
        raise ModelError(
            "it names no net.",
            file=solver_file,
            field="net",
            remedy="Set net to the modified model.",
        )
    document = documents.read(model_file)
    for path in (weights_file, resume):
        if path is not None and not os.path.isfile(path):
            raise ModelError("there is no such file.", file=path, remedy="Check the path.")
    inserted = read_inserted(document)
    document.states = inserted.states
    require_trainable(
        TrainingSetup(
            solver=solver,
            document=document,
            model_file=model_file,
            needs=TrainingNeeds.of_model(inserted),
            machine=this_machine(),
            weights_file=weights_file,
            resume=resume,
            learnable_bytes=lambda: learnable_bytes(
                model_file, weights_file, inserted.types.keys(), document.states
            ),
            rehearsal=Rehearsal(solver_file, weights_file, resume) if rehearses else None,
        )
    )
    return solver, document


def last_snapshot(solver: Solver) -> str:
    """Return the snapshot that Caffe takes after the last iteration."""
    ending = ".h5" if solver.snapshots_are_hdf5 else ""
    return f"{solver.snapshot_prefix}_iter_{solver.max_iter}.caffemodel{ending}"


def run_all(
    model_file: str,
    weights_file: str,
    solver_file: str,
    folder: str,
    config_file: Optional[str] = None,
    simplified_config_file: Optional[str] = None,
    backend: Optional[str] = None,
    input_shapes: Optional[Mapping[str, Tuple[int, ...]]] = None,
) -> Tuple[str, ...]:
    """Run every step: config, insert, train, save.

    Whatever can be refused is refused before anything is written.

    Returns:
        The saved files.

    Raises:
        AmctError: as the steps do.
    """
    files = work_files(folder)
    config = _config(model_file, weights_file, solver_file, config_file, simplified_config_file)
    choice = deploy_choice(backend, config, files.config, COMMANDS_DEFAULT)
    registries().deploy_backends.get(choice.name)
    solver = _trainable(solvers.read(solver_file), config, model_file, weights_file, files)
    workflow.insert_by(
        config,
        config_file or files.config,
        model_file,
        weights_file,
        *files.modified,
        files.record,
        solver_file=solver_file,
        input_shapes=input_shapes,
    )
    # Only now: a refusal leaves the folder as it was.
    with FileSet() as written:
        if config_file is None:
            written.add(files.config, json_format.format_config(config))
        elif os.path.abspath(config_file) != os.path.abspath(files.config):
            written.add(files.config, read_text(config_file))
        written.update(files.solver, solver.format())
    snapshot = train(files.solver, files.modified.weights)
    return workflow.save(
        files.modified.model, snapshot, files.result, "Both", files.record, files.config, backend
    )


def _config(
    model_file: str,
    weights_file: str,
    solver_file: str,
    config_file: Optional[str],
    simplified_config_file: Optional[str],
) -> QatConfig:
    """Return the config that the user gives, or the one that is made for the network."""
    if config_file is None:
        return workflow.propose_config(
            model_file, weights_file, simplified_config_file, solver_file=solver_file
        ).config
    if simplified_config_file is not None:
        raise ConfigError(
            "both a config and a simplified config are given; expected one.",
            file=config_file,
            remedy="Leave one of them out.",
        )
    config = json_format.read(config_file)
    check_names(config, registries(), config_file)
    return config


def _trainable(
    given: Solver, config: QatConfig, model_file: str, weights_file: str, files: WorkFiles
) -> Solver:
    """Return the user's solver with the modified model as its net.

    Raises:
        TrainingError: it would not train that model, on this machine or in general.
    """
    solver = solvers.redirect(given, files.modified.model, files.snapshots, model_file)
    document = documents.read(model_file)
    document.states = given.states.or_else(config.states)
    with tempfile.TemporaryDirectory() as scratch:
        require_trainable(
            TrainingSetup(
                solver=solver,
                document=document,
                model_file=files.modified.model,
                needs=TrainingNeeds.of_config(config, document),
                machine=this_machine(),
                learnable_bytes=lambda: learnable_bytes(
                    model_file, weights_file, config.enabled.keys(), document.states
                ),
                makes_folders=True,
                saves=True,
                rehearsal=_before_insertion(given, document, model_file, scratch),
            )
        )
    _warn_of_replaced_nets(given, model_file)
    return solver


def _before_insertion(
    given: Solver, document: NetDocument, model_file: str, folder: str
) -> Rehearsal:
    """Write a solver of the network as it is; without weights, some of which Caffe cannot read."""
    net, solver_file = (os.path.join(folder, name) for name in ("net.prototxt", "solver.prototxt"))
    solver = solvers.redirect(given, net, os.path.join(folder, "snapshot"), model_file)
    with FileSet() as written:
        written.update(net, document.format())
        written.update(solver_file, solver.format())
    return Rehearsal(solver_file)


def _warn_of_replaced_nets(solver: Solver, model_file: str) -> None:
    for net in solvers.replaced_nets(solver, model_file):
        _log.warning(
            "testing net %d of '%s' (%s%s) is not '%s'; it is left out",
            net.index + 1,
            solver.file,
            net.field,
            f" {net.file!r}" if net.file is not None else "",
            model_file,
        )
