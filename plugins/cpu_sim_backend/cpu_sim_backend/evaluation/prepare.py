"""Finds what an evaluation needs before anything runs: models, data, labels, what is judged."""

from __future__ import annotations

import os
from typing import List, Optional, Sequence, Tuple

import attrs

from amct_core.errors import ConfigError
from amct_core.extensions import Frontend
from amct_core.file_names import ModelFiles, fake_quant_files
from amct_core.graph import Graph
from amct_core.plugins import registries
from amct_core.saved_model import SavedModel, saved_model
from cpu_sim_backend.data import Batches
from cpu_sim_backend.data.choice import open_source
from cpu_sim_backend.device import DeviceGraph
from cpu_sim_backend.evaluation.columns import (
    Column,
    FloatFiles,
    float_column,
    framework_columns,
    open_simulator,
    simulated_column,
)
from cpu_sim_backend.evaluation.labels import (
    Labels,
    OwnLabels,
    check_count,
    find_labels,
    own_labels,
    with_labels,
)
from cpu_sim_backend.evaluation.options import EvaluationOptions
from cpu_sim_backend.simulator import Simulator

_FLOAT_REMEDY = (
    "Give the float32 model and its weights with --float; a modified model and its snapshot have a "
    "column of their own with --retrained."
)


@attrs.frozen(eq=False)
class Prepared:
    """An evaluation that is ready to run.

    Attributes:
        simulator: of the exact integers; it knows what the network reads.
        columns: float32 first.
        left_out: columns that cannot be run, and why.
        batches: the data; labels that come with them are among their arrays.
        labels: None: there are none.
        scores: the blob that labels are compared with; None: none is.
        blobs: what each column has to give: the network's outputs, and the scores.
        device: what the chosen processor computes otherwise; None: none is chosen.
        not_judged: why labels are compared with nothing; None: they are, or there are none, or a
            metric judges.
    """

    simulator: Simulator
    columns: Tuple[Column, ...]
    left_out: Tuple[Tuple[str, str], ...]
    batches: Batches
    labels: Optional[Labels]
    scores: Optional[str]
    blobs: Tuple[str, ...]
    device: Optional[DeviceGraph]
    not_judged: Optional[str]


def prepare(save_path: str, options: EvaluationOptions) -> Prepared:
    """Return what is run; see :func:`cpu_sim_backend.evaluation.evaluate` for errors."""
    saved = saved_model(save_path, registries(), options.model_file, options.backend)
    if options.float_files is None and saved.is_backends_alone:
        raise _unknown_float(saved)
    given = None if options.float_files is None else options.float_files.model
    frontend = saved.frontend_beside(given)
    simulator = open_simulator(saved, options.engine, None, frontend)
    model = _float_files(frontend, saved, options.float_files)
    own = own_labels(_tested_graph(frontend, save_path, model))
    batches, labels = _data(saved, options, simulator, own)
    scores = _scores(simulator.graph, simulator.outputs, own, options)
    blobs = tuple(dict.fromkeys((*simulator.outputs, *([scores] if scores is not None else []))))
    inputs = tuple(simulator.inputs)
    framework, left_out = framework_columns(frontend, save_path, options.retrained, inputs)
    simulated: List[Simulator] = [simulator]
    if options.soc_version is not None:
        simulated.append(open_simulator(saved, options.engine, options.soc_version, frontend))
    columns = (
        float_column(frontend, model, inputs, blobs, options.engine),
        *framework,
        *(simulated_column(each, saved, frontend) for each in simulated),
    )
    not_judged = None
    if labels is not None and scores is None and not options.metrics:
        outputs = simulator.outputs
        not_judged = f"{len(outputs)} outputs ({', '.join(outputs)}); name one with --scores"
    device = simulated[-1].device
    return Prepared(
        simulator, columns, left_out, batches, labels, scores, blobs, device, not_judged
    )


def _float_files(frontend: Frontend, saved: SavedModel, given: Optional[ModelFiles]) -> FloatFiles:
    """Return the float32 model that the user gives, else the one that saving has noted."""
    if given is not None:
        frontend.check_float(*given, remedy=_FLOAT_REMEDY)
        return FloatFiles(given)
    found = frontend.float_model(saved.save_path)
    if found is None:
        raise _unknown_float(saved)
    found.check()
    return FloatFiles(ModelFiles(found.model.path, found.weights.path), found.test_state)


def _unknown_float(saved: SavedModel) -> ConfigError:
    return saved.unknown_float(
        "it does not tell which float32 model this was made of: only the fake-quant model was "
        "saved, or an earlier version saved or inserted it.",
        "Give the float32 model with --float MODEL WEIGHTS.",
    )


def _tested_graph(frontend: Frontend, save_path: str, model: FloatFiles) -> Graph:
    """Return the TEST network with its labels and scores: the fake-quant model's, if it is there.

    That is the one whose data layers run.
    """
    fake_quant = fake_quant_files(save_path).model
    file = fake_quant if os.path.isfile(fake_quant) else model.files.model
    return frontend.read_for_inference(file).test


def _data(
    saved: SavedModel,
    options: EvaluationOptions,
    simulator: Simulator,
    own: OwnLabels,
) -> Tuple[Batches, Optional[Labels]]:
    wants_own = options.data.data is None and options.labels is None and own.from_data
    others: Sequence[str] = [own.blob] if wants_own and own.blob is not None else []
    source = open_source(saved, options.data, others)
    batches = simulator.batches(source, options.batch_size)
    labels = find_labels(options.data, source, options.labels, own)
    if labels is not None:
        check_count(labels, batches.samples)
    return with_labels(batches, labels), labels


def _scores(
    graph: Graph, outputs: Sequence[str], own: OwnLabels, options: EvaluationOptions
) -> Optional[str]:
    """Return the blob that labels are compared with; None where that cannot be said."""
    if options.scores is not None:
        return graph.final_value(options.scores).name
    blobs = {value.name for node in graph.nodes for value in node.outputs}
    if own.scores in blobs:
        return own.scores
    if len(outputs) == 1:
        return outputs[0]
    if options.top_k or (options.labels is not None and not options.metrics):
        raise ConfigError(
            f"the network has no Accuracy layer, and the outputs {', '.join(outputs)}; expected "
            "one.",
            file=str(graph.file),
            remedy="Name the blob of the scores with --scores, or give --metric.",
        )
    return None
