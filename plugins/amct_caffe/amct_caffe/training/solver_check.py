"""Checks that a solver will run everything that quantization-aware training needs."""

from __future__ import annotations

from amct_caffe.checks import training
from amct_caffe.checks.machine import this_machine
from amct_caffe.checks.solver_for_qat import TrainingNeeds
from amct_caffe.checks.training_setup import TrainingSetup
from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt import solver as solvers
from amct_caffe.passes.inserted import read_inserted
from amct_caffe.runtime.rehearsal import Rehearsal
from amct_core.config import json_format
from amct_core.config.check import check_inserted, check_names
from amct_core.plugins import registries


def check_solver(solver_file: str, config_file: str, modified_model_file: str) -> None:
    """Check a solver, and the machine that it is to run on, before it runs.

    A script may feed the TRAIN net of a solver by hand, and choose the weights: what concerns these
    is not looked at.

    Args:
        solver_file: the solver's prototxt.
        config_file: the QAT config (JSON).
        modified_model_file: the model that ``create_quant_retrain_model`` wrote.

    Raises:
        TrainingError: the solver would not initialise the clip bounds or not search shift N, or
            Caffe would fail, on this machine or in general; the message explains every violation.
        ConfigError: the model was made with another config, or a plugin is missing.
        AmctError: a file cannot be read.
    """
    config = json_format.read(config_file)
    document = documents.read(modified_model_file)
    inserted = read_inserted(document)
    document.states = inserted.states
    check_inserted(config, inserted.types, inserted.shift_n_algo, registries(), config_file)
    check_names(config, registries(), config_file)
    training.require_trainable(
        TrainingSetup(
            solver=solvers.read(solver_file),
            document=document,
            model_file=modified_model_file,
            needs=TrainingNeeds.of_model(inserted),
            machine=this_machine(),
            is_fed_by_hand=True,
            rehearsal=Rehearsal(solver_file),
        )
    )
