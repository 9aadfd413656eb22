"""Training steps for the command line: check a solver, run it, and all steps in turn."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from typing import TYPE_CHECKING, Callable, Mapping, Optional, Tuple

from amct_caffe.checks.file_sizes import learnable_bytes
from amct_caffe.checks.machine import this_machine
from amct_caffe.checks.solver_for_qat import TrainingNeeds
from amct_caffe.checks.training import require_trainable
from amct_caffe.checks.training_setup import TrainingSetup
from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt import solver as solvers
from amct_caffe.model.formats.prototxt.document import NetDocument
from amct_caffe.model.formats.prototxt.solver import Solver
from amct_caffe.model.formats.snapshots import snapshot_of
from amct_caffe.passes.inserted import read_inserted
from amct_caffe.passes.python_layers import is_python_layer
from amct_caffe.runtime.rehearsal import Rehearsal
from amct_caffe.training import run_folder
from amct_caffe.training.start import Start
from amct_core import workflow
from amct_core.config import json_format
from amct_core.config.check import check_names
from amct_core.config.edits import Edits
from amct_core.config.model import QatConfig
from amct_core.deploy_choice import COMMANDS_DEFAULT, deploy_choice
from amct_core.distinct_files import check_distinct
from amct_core.errors import ConfigError, ModelError
from amct_core.file_names import WorkFiles, file_under, work_files
from amct_core.files import FileSet, read_text
from amct_core.plugins import registries
from amct_core.supervision.watch import current

if TYPE_CHECKING:
    from amct_caffe.runtime.metrics import Metrics

_log = logging.getLogger("amct_caffe.training")

_NO_EDITS = Edits()


def train(solver_file: str, start: Start) -> str:
    """Train the modified model that a solver names.

    Args:
        solver_file: the solver's prototxt; its ``net`` is a modified model.
        start: what it starts from.

    Returns:
        The last snapshot.

    Raises:
        StoppedBetweenIterations: a signal came; a snapshot was written.
        AmctError: the solver would not do, or training failed.
    """
    start = start.complete()
    assert start.weights is not None
    solver, document = check_training(solver_file, start.weights, start.resume)
    keep_caffes_log(solver, start)
    from amct_caffe.runtime.training import run_solver

    run_solver(
        solver_file,
        start.weights,
        start.resume,
        metrics=open_metrics(start, document),
        how_to_go_on=start.how_to_go_on,
    )
    return last_snapshot(solver)


def keep_caffes_log(solver: Solver, start: Start) -> None:
    """Keep Caffe's log beside the snapshots, where it is not to go elsewhere.

    Says what a resumed training is not: data layers do not remember where they were.
    """
    current().keep_log(
        start.log or file_under(solver.snapshot_prefix, "caffe.log"),
        goes_on=start.goes_on or start.resume is not None,
    )
    if start.resume is not None:
        _log.info(
            "going on from '%s'; Caffe's data layers begin with their first sample again, so the "
            "rest equals that of an uninterrupted training only if an epoch ended there",
            start.resume,
        )


def open_metrics(start: Start, document: NetDocument) -> Optional[Metrics]:
    """Open the file of metrics, if there is to be one."""
    if start.metrics is None:
        return None
    from amct_caffe.runtime.metrics import Metrics

    layers = document.layers_in("TRAIN")
    quantizers = [layer.name for layer in layers if is_python_layer(layer, "ActivationQAT")]
    return Metrics(start.metrics, quantizers, goes_on=start.resume is not None)


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
    return snapshot_of(solver, solver.max_iter).weights


def run_all(
    model_file: str,
    weights_file: str,
    solver_file: str,
    folder: str,
    config_file: Optional[str] = None,
    simplified_config_file: Optional[str] = None,
    backend: Optional[str] = None,
    input_shapes: Optional[Mapping[str, Tuple[int, ...]]] = None,
    restart: bool = False,
    metrics: Optional[str] = None,
    how_to_go_on: Optional[Callable[[str], str]] = None,
    edits: Edits = _NO_EDITS,
) -> Tuple[str, ...]:
    """Run every step: config, insert, train, save; or what an interrupted run has left to do.

    Whatever can be refused is refused before anything is written.

    Args:
        model_file, weights_file, solver_file: the trained network, and what trains it.
        folder: for everything written.  Where it has a run with the same inputs, that goes on.
        config_file, simplified_config_file: a config to use, or to derive one from.
        backend: the deploy backend; None: as the config says.
        input_shapes: shapes of network inputs by blob.
        restart: whether to begin from the beginning, whatever is in the folder.
        metrics: a file of JSON lines to write.
        how_to_go_on: says how to go on from a ``.solverstate``.
        edits: what to change in the config that is made.

    Returns:
        The saved files.

    Raises:
        StoppedBetweenIterations: a signal came; a snapshot was written.
        AmctError: as the steps do; or the folder has a run with other inputs, or at work.
    """
    files = work_files(folder)
    check_distinct(
        {
            "model_file": model_file,
            "weights_file": weights_file,
            "solver_file": solver_file,
            "simplified_config_file": simplified_config_file,
            **edits.files,
        },
        {
            "the modified model": files.modified.model,
            "its weights": files.modified.weights,
            "the record": files.record,
            "the solver that is made": files.solver,
            "metrics": metrics,
        },
        files.result,
    )
    inputs = run_folder.describe_inputs(
        {
            "model": model_file,
            "weights": weights_file,
            "solver": solver_file,
            "config": config_file,
            "simplified config": simplified_config_file,
            **edits.files,
        },
        # Files of a run name each other by paths that begin with this one.
        **{
            "path of the folder": os.path.normpath(folder),
            "backend": backend,
            "input shapes": input_shapes or {},
            "changes to the config": edits.said or None,
        },
    )
    with contextlib.ExitStack() as stack:
        earlier = None
        if os.path.isdir(folder):
            stack.enter_context(run_folder.locked(folder))
            earlier = None if restart else run_folder.read_state(folder)
        if earlier is not None:
            run_folder.require_same(folder, earlier, inputs)
        config = _config(
            model_file, weights_file, solver_file, config_file, simplified_config_file, edits
        )
        choice = deploy_choice(backend, config, files.config, COMMANDS_DEFAULT)
        registries().deploy_backends.get(choice.name)
        solver = _trainable(solvers.read(solver_file), config, model_file, weights_file, files)
        if earlier is None:
            if not os.path.isdir(folder):
                stack.enter_context(run_folder.locked(folder))
            run_folder.forget_state(folder)
            original = (model_file, weights_file, solver_file)
            _insert(config, config_file, original, files, solver, input_shapes)
            made = (*files.modified, files.config, files.solver)
            run_folder.write_state(folder, inputs, made)
        snapshot = last_snapshot(solver)
        learned = (snapshot, files.record)
        if earlier is not None and run_folder.is_trained(folder, learned):
            _log.info("'%s' has a finished training with the same inputs; it is saved", folder)
        else:
            state = None if earlier is None else _state_to_go_on_from(folder, solver)
            log = os.path.join(folder, "caffe.log")
            goes_on = earlier is not None
            start = Start(files.modified.weights, state, metrics, how_to_go_on, log, goes_on)
            train(files.solver, start)
            run_folder.write_trained(folder, learned)
        modified = files.modified.model
        return workflow.save(
            modified, snapshot, files.result, "Both", files.record, files.config, backend
        )


def _state_to_go_on_from(folder: str, solver: Solver) -> Optional[str]:
    """Return the state of the last snapshot of a run that was interrupted; None without one."""
    last = run_folder.last_snapshot(folder, solver)
    _log.info(
        "'%s' has a run with the same inputs; it goes on %s",
        folder,
        "with training" if last is None else f"after iteration {last.iteration}",
    )
    return None if last is None else last.state


def _insert(
    config: QatConfig,
    config_file: Optional[str],
    original: Tuple[str, str, str],
    files: WorkFiles,
    solver: Solver,
    input_shapes: Optional[Mapping[str, Tuple[int, ...]]],
) -> None:
    """Write what training starts from; ``original``: model, weights and solver of the user."""
    model_file, weights_file, solver_file = original
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


def _config(
    model_file: str,
    weights_file: str,
    solver_file: str,
    config_file: Optional[str],
    simplified_config_file: Optional[str],
    edits: Edits,
) -> QatConfig:
    """Return the config that the user gives, or the one that is made for the network."""
    if config_file is None:
        return workflow.propose_config(
            model_file, weights_file, simplified_config_file, solver_file=solver_file, edits=edits
        ).config
    if simplified_config_file is not None:
        raise ConfigError(
            "both a config and a simplified config are given; expected one.",
            file=config_file,
            remedy="Leave one of them out.",
        )
    if edits.said:
        raise ConfigError(
            f"a config is given, which is used as it is, and a change to it: {edits.said[0]}.",
            file=config_file,
            remedy="Make a changed config first: amct qat config --base.",
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
