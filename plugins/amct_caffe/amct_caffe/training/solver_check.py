"""Checks that a solver will run everything that quantization-aware training needs."""

from __future__ import annotations

from typing import Iterator, List, Optional, Sequence, Tuple

import attrs

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt import solver as solvers
from amct_caffe.model.formats.prototxt.document import NetDocument
from amct_caffe.model.formats.prototxt.solver import Solver, same_file
from amct_caffe.model.layer_type import layer_type
from amct_caffe.passes.inserted import InsertedLayers, read_inserted
from amct_caffe.training.caffe_check import require_caffe
from amct_caffe.training.solver_nets import count_violations, searching_nets, state_violations
from amct_caffe.training.violation import Violation
from amct_core.config import json_format
from amct_core.config.check import check_inserted
from amct_core.config.model import QatConfig
from amct_core.errors import TrainingError
from amct_core.plugins import registries


@attrs.frozen
class TrainingNeeds:
    """What the inserted layers need of a training run.

    Attributes:
        batch_num: TRAIN forwards of initialisation, and TEST forwards of a search.
        searches: whether shift N is searched.
        calibrates: whether clip bounds are found from data.
    """

    batch_num: int
    searches: bool
    calibrates: bool

    @classmethod
    def of_config(cls, config: QatConfig, document: NetDocument) -> TrainingNeeds:
        """Return the needs of the model that ``config`` will make of ``document``."""
        search = registries().shift_searches.get(config.shift_n_algo)
        enabled = config.enabled
        types = [layer_type(layer) for layer in document.layers if layer.name in enabled]
        return cls(
            config.batch_num,
            any(search.searches(each) for each in types),
            any(layer.activation.clip_max is None for layer in enabled.values()),
        )

    @classmethod
    def of_model(cls, inserted: InsertedLayers) -> TrainingNeeds:
        """Return the needs of a modified model."""
        activations = [parameters for _, parameters in inserted.activations]
        return cls(
            max(parameters.batch_num for parameters in activations),
            bool(inserted.searches),
            any(parameters.init_algo is not None for parameters in activations),
        )


def check_solver(solver_file: str, config_file: str, modified_model_file: str) -> None:
    """Check a solver before it runs.

    Args:
        solver_file: the solver's prototxt.
        config_file: the QAT config (JSON).
        modified_model_file: the model that ``create_quant_retrain_model`` wrote.

    Raises:
        TrainingError: the solver would not initialise the clip bounds or not search shift N; the
            message explains every violation.
        ConfigError: the model was made with another config.
        EnvironmentUnsuitableError: the Caffe that is installed cannot do what the run asks of it.
        AmctError: a file cannot be read.
    """
    config = json_format.read(config_file)
    document = documents.read(modified_model_file)
    inserted = read_inserted(document)
    document.states = inserted.states
    check_inserted(config, inserted.types, inserted.shift_n_algo, registries(), config_file)
    require_fit(solver_file, TrainingNeeds.of_model(inserted), modified_model_file, document)
    require_caffe(document, solvers.read(solver_file))


def require_fit(
    solver_file: str, needs: TrainingNeeds, modified_model_file: str, document: NetDocument
) -> None:
    """Raise a TrainingError that explains every violation; see :func:`find_violations`."""
    solver = solvers.read(solver_file)
    violations = list(find_violations(solver, needs, modified_model_file, document))
    if violations:
        raise TrainingError(
            "this solver will not do for quantization-aware training:\n"
            + "\n".join(f"  - {violation}" for violation in violations),
            file=solver_file,
        )


def find_violations(
    solver: Solver, needs: TrainingNeeds, modified_model_file: str, document: NetDocument
) -> Iterator[Violation]:
    """Return every reason why ``solver`` will not do.

    Args:
        solver: to look at.
        needs: of the inserted layers.
        modified_model_file: which the solver is to name.
        document: that file, or the network that it is going to be made of, with the states that it
            is made for.

    1. ``net``, or both ``train_net`` and ``test_net``, name the modified model; so does a
       ``test_net`` beside ``net``.
    2. ``max_iter >= batch_num``: initialisation takes as many iterations.
    3. With a search for N: ``test_interval > 0`` and divides ``max_iter``, so that the last test
       runs after the last iteration; ``test_iter >= batch_num``.
    4. No TEST pass comes before the bounds are initialised: ``test_initialization`` is false, and
       ``test_interval >= batch_num`` where bounds are found from data.
    5. The fields are there as often as Caffe demands, and its nets have the layers that the model
       was made for: :mod:`amct_caffe.training.solver_nets`.
    """
    yield from _net_violations(solver, modified_model_file)
    yield from count_violations(solver, needs.searches)
    yield from state_violations(solver, document)
    if solver.max_iter < needs.batch_num:
        yield Violation(
            "max_iter",
            f"it is {solver.max_iter}, but initialising the clip bounds takes batch_num = "
            f"{needs.batch_num} iterations.",
            f"Set max_iter to at least {needs.batch_num}.",
        )
    if needs.searches:
        yield from _search_violations(solver, needs, searching_nets(solver, document))
    if solver.test_interval > 0:
        yield from _early_test_violations(solver, needs)


def _net_violations(solver: Solver, modified_model_file: str) -> Iterator[Violation]:
    named: List[Tuple[str, Optional[str]]] = [("net", solver.net)]
    if solver.net is None:
        named = [("train_net", solver.train_net)]
    # Caffe tests these first, even beside a net.
    named += [("test_net", net) for net in solver.test_nets]
    if solver.net is None and not solver.test_nets:
        named.append(("test_net", None))
    for field, net in named:
        if net is not None and same_file(net, modified_model_file):
            continue
        problem = (
            f"it is not set; expected the modified model '{modified_model_file}'."
            if net is None
            else f"it is {net!r}, not the modified model '{modified_model_file}'."
        )
        remedy = f'Set net: "{modified_model_file}", and leave out train_net and test_net.'
        yield Violation(field, problem, remedy)


def _search_violations(
    solver: Solver, needs: TrainingNeeds, searching: Sequence[int]
) -> Iterator[Violation]:
    if solver.test_interval <= 0:
        yield Violation(
            "test_interval",
            f"it is {solver.test_interval}, so no TEST pass runs and shift N is never searched.",
            "Set test_interval: max_iter (or a divisor of it).",
        )
    elif solver.max_iter % solver.test_interval:
        yield Violation(
            "test_interval",
            f"it is {solver.test_interval}, which does not divide max_iter = {solver.max_iter}: "
            "the last TEST pass would not be after the last iteration.",
            "Set test_interval: max_iter (or a divisor of it).",
        )
    counts = [solver.test_iter[index] for index in searching if index < len(solver.test_iter)]
    if any(count < needs.batch_num for count in counts) or not solver.test_iter:
        yield Violation(
            "test_iter",
            f"it is {list(solver.test_iter) or 'not set'}, but searching shift N takes batch_num = "
            f"{needs.batch_num} batches.",
            f"Set test_iter to at least {needs.batch_num}.",
        )


def _early_test_violations(solver: Solver, needs: TrainingNeeds) -> Iterator[Violation]:
    if solver.test_initialization:
        yield Violation(
            "test_initialization",
            "it is true (Caffe's default), so a TEST pass runs before training has begun.",
            "Set test_initialization: false.",
        )
    if needs.calibrates and solver.test_interval < needs.batch_num:
        yield Violation(
            "test_interval",
            f"it is {solver.test_interval}: the first TEST pass would come before the clip bounds "
            f"are initialised, which takes batch_num = {needs.batch_num} iterations.",
            f"Set test_interval to at least {needs.batch_num}.",
        )
