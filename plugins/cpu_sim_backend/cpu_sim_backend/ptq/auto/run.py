"""Runs a search from files to saved models."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import time
from typing import Any, Dict, Mapping, Optional, Tuple

import attrs
import numpy as np

from amct_core import record as records
from amct_core.config import ptq_json
from amct_core.errors import ConfigError
from amct_core.extensions import FallbackStrategy, Sensitivity
from amct_core.files import FileSet
from amct_core.graph.input_data import check_input_data, kind_of
from amct_core.plugins import registries
from amct_core.ptq import configuration, workflow
from amct_core.ptq.auto import Candidate, Journal, Measurement, Outcome, Recipe, compared, search
from amct_core.ptq.auto.macs import macs_of
from cpu_sim_backend.ptq.auto.network import SearchedNetwork
from cpu_sim_backend.ptq.auto.samples import Samples, read_samples
from cpu_sim_backend.ptq.engine import SimulatorEngine
from cpu_sim_backend.ptq.inputs import Inputs, inputs_of, quantized_inputs
from cpu_sim_backend.scoring.scores import accuracy_layer, scoring_for

_log = logging.getLogger("cpu_sim_backend.ptq")

RECIPES = (
    *(Recipe(name) for name in ("ifmr", "mse", "percentile", "kl", "best")),
    Recipe("best", bias_corrected=True),
    Recipe("mse", equalized=True),
    Recipe("mse", equalized=True, bias_corrected=True),
    Recipe("best", weight_rounding="adaround"),
)
"""What is tried with all layers in integers, in this order."""

PREFIX = "model"

_BASE = "base_config.json"
_JOURNAL, _REPORT, _CONFIG, _RECORD = (
    "auto_journal.json",
    "auto_report.json",
    "config.json",
    "record.txt",
)


@attrs.frozen
class AutoOptions:
    """What the user asks for.

    Attributes:
        model_file, weights_file: the trained model.
        folder: where everything is written.
        data: an ``.npz`` file.
        max_drop: points of accuracy that may be lost.
        evaluation_data: another file with the samples that are judged; None: those of ``data``
            behind the calibration's.
        labels: a list file or the name of an array.
        metric: ``module:function``.
        scores: the blob that is judged.
        calibration_images: samples of ``data`` that calibrate: the first.
        sensitivity_images: of those, how many rank the layers.
        sensitivity: name of a registered sensitivity that ranks the layers; None: the error of the
            network's output with only that layer in integers.
        strategy: name of a registered strategy that proposes the layers in float; None: binary
            search.
        batch_size: samples per batch.
        engine: of the simulator.
        backend: deploy backend; None: the default of the commands.
    """

    model_file: str
    weights_file: str
    folder: str
    data: str
    max_drop: float = 0.5
    evaluation_data: Optional[str] = None
    labels: Optional[str] = None
    metric: Optional[str] = None
    scores: Optional[str] = None
    calibration_images: int = 100
    sensitivity_images: int = 16
    sensitivity: Optional[str] = None
    strategy: Optional[str] = None
    batch_size: int = 50
    engine: str = "auto"
    backend: Optional[str] = None


@attrs.frozen
class AutoResult:
    """What came of it.

    Attributes:
        report: what ``auto_report.json`` holds.
        files: written.
    """

    report: Mapping[str, Any]
    files: Tuple[str, ...]


def quantize_automatically(options: AutoOptions) -> AutoResult:
    """Search, and save the chosen candidate.

    What has been measured is in ``auto_journal.json``; called again with the same files and
    options, the search goes on behind it.  Its seconds are the only thing there, or in any file
    written here, that differs from one run to another.

    Raises:
        PluginError: there is no such sensitivity or strategy.
        AmctError: a file cannot be read or written, data do not fit, or labels are missing.
    """
    measure, strategy = _plugins(options)
    os.makedirs(options.folder, exist_ok=True)
    searched = _searched(options)
    journal = Journal(os.path.join(options.folder, _JOURNAL), _key(options, searched))
    macs = _macs(searched)
    baseline = np.asarray(journal.remember("float32", lambda: searched.float_scores().tolist()))
    accuracy = float(100 * baseline.mean())
    _require_accuracy(accuracy, options, searched)
    _log.info(
        "float32: accuracy %.3f %% on %d samples; at least %.3f %% is asked for",
        *(accuracy, len(searched.evaluation), accuracy - options.max_drop),
    )

    def evaluate(candidate: Candidate) -> Measurement:
        start = time.monotonic()
        name = f"candidate: {candidate}"
        scores = journal.remember(name, lambda: searched.scores(candidate).tolist())
        found = compared(scores, baseline)
        _log.info(
            "%s: accuracy %.3f %%, %.3f points lost, standard error %s, MACs in float %d of %d, "
            "%.1f s",
            *(candidate, found.accuracy, found.drop, _points(found.standard_error)),
            *(_float_macs(macs, candidate), sum(macs.values()), time.monotonic() - start),
        )
        return found

    def rank(recipe: Recipe) -> Mapping[str, float]:
        count = min(options.sensitivity_images, len(searched.calibration))
        if measure is None:
            what = "sensitivity"
            compute = functools.partial(searched.sensitivities, recipe, count)
        else:
            what = f"sensitivity {measure.name}"
            compute = functools.partial(searched.similarities, recipe, count, measure)
        ranking: Dict[str, float] = journal.remember(f"{what}: {recipe}, {count} samples", compute)
        return ranking

    outcome = search(RECIPES, macs, options.max_drop, evaluate, rank, strategy)
    report = _report(outcome, macs, accuracy, options, searched)
    files = _save(searched, outcome.chosen, report, options)
    _log.info("%s", verdict(report))
    return AutoResult(report, files)


def _require_accuracy(accuracy: float, options: AutoOptions, searched: SearchedNetwork) -> None:
    """Raise a ConfigError if float32 has nothing to lose: any candidate would hold the target."""
    if accuracy == 0:
        raise ConfigError(
            f"the accuracy in float32 is 0 on {len(searched.evaluation)} samples; expected more, "
            "since points that are lost are counted from there.",
            file=options.evaluation_data or options.data,
            field="labels" if options.metric is None else "metric",
            remedy="Check the labels, the preprocessing of the data, the weights, and --scores or "
            "--metric.",
        )


def _plugins(
    options: AutoOptions,
) -> Tuple[Optional[Sensitivity], Optional[FallbackStrategy]]:
    found = registries()
    sensitivity, strategy = options.sensitivity, options.strategy
    return (
        None if sensitivity is None else found.sensitivities.get(sensitivity),
        None if strategy is None else found.fallback_strategies.get(strategy),
    )


def verdict(report: Mapping[str, Any]) -> str:
    """Return in one sentence whether the target is met, and with what."""
    chosen = report["candidates"][report["chosen"]]
    words = "is met" if report["met"] else "is NOT met by any candidate; the best one is saved"
    return (
        f"The target of at most {report['max_drop']:g} points {words}: {chosen['candidate']} has "
        f"{chosen['accuracy']:.3f} % (float32 {report['float32']:.3f} %), {chosen['drop']:.3f} "
        f"points lost, standard error {_points(chosen['standard_error'])}, "
        f"{100 * chosen['float_macs_share']:.1f} % of the MACs in float."
    )


def _points(error: Optional[float]) -> str:
    return "unknown" if error is None else f"{error:.3f}"


def _float_macs(macs: Mapping[str, int], candidate: Candidate) -> int:
    return sum(macs[name] for name in candidate.float_layers)


def _searched(options: AutoOptions) -> SearchedNetwork:
    base = os.path.join(options.folder, _BASE)
    configuration.create_ptq_config(
        options.model_file,
        options.weights_file,
        base,
        configuration.simplified_config(batch_num=1),
    )
    record_file = os.path.join(options.folder, _RECORD)
    network = workflow.reopen(base, options.model_file, options.weights_file, record_file)
    os.unlink(base)  # the configuration of what is chosen takes its place
    layer = accuracy_layer(network.graph)
    label_blob = layer.bottoms[1] if layer is not None and len(layer.bottoms) > 1 else None
    scoring = scoring_for(network.graph, options.metric, options.scores)
    inputs = inputs_of(network, (*quantized_inputs(network), *scoring.values.values()))
    calibration, evaluation = _samples(options, inputs, label_blob)
    for samples, file in ((calibration, options.data), (evaluation, options.evaluation_data)):
        kinds = {
            name: kind_of(array)
            for name, array in samples.part(0, options.batch_size).arrays.items()
        }
        check_input_data(network.graph, inputs.shapes, kinds, file=file or options.data)
    count = -(-len(calibration) // options.batch_size)
    network = attrs.evolve(network, config=attrs.evolve(network.config, batch_num=count))
    engine = SimulatorEngine(options.engine)
    return SearchedNetwork(network, engine, calibration, evaluation, scoring, options.batch_size)


def _samples(
    options: AutoOptions, inputs: Inputs, label_blob: Optional[str]
) -> Tuple[Samples, Samples]:
    count, other = options.calibration_images, options.evaluation_data
    all_samples = read_samples(
        options.data, inputs, options.labels if other is None else None, label_blob
    )
    least = count if other is not None else count + 1
    if len(all_samples) < least:
        raise ConfigError(
            f"it has {len(all_samples)} samples; the first {count} calibrate, and others are "
            "judged.",
            file=options.data,
            remedy="Give more samples, a smaller --calibration-images, or --evaluation-data.",
        )
    calibration = all_samples.part(0, count)
    if other is None:
        return calibration, all_samples.part(count, None)
    return calibration, read_samples(other, inputs, options.labels, label_blob)


def _macs(searched: SearchedNetwork) -> Dict[str, int]:
    shapes = {name: (1, *each.shape[1:]) for name, each in searched.calibration.arrays.items()}
    names = [
        node.name
        for node in searched.network.graph.nodes
        if node.name in searched.network.config.enabled
    ]
    return macs_of(searched.network.graph, names, shapes)


def _key(options: AutoOptions, searched: SearchedNetwork) -> str:
    """Return a digest of all that measured values depend on; the target is not among that."""
    found = hashlib.sha256()
    for path in (options.model_file, options.weights_file):
        with open(path, "rb") as stream:
            found.update(hashlib.sha256(stream.read()).digest())
    found.update(searched.calibration.digest().encode())
    found.update(searched.evaluation.digest().encode())
    said = (options.metric, options.scores, options.batch_size)
    found.update(repr(said).encode())
    return found.hexdigest()


def _report(
    outcome: Outcome,
    macs: Mapping[str, int],
    accuracy: float,
    options: AutoOptions,
    searched: SearchedNetwork,
) -> Dict[str, Any]:
    total = sum(macs.values())
    candidates = []
    for candidate, found in outcome.tried:
        in_float = _float_macs(macs, candidate)
        candidates.append(
            {
                "candidate": str(candidate),
                "recipe": str(candidate.recipe),
                "float_layers": list(candidate.float_layers),
                **attrs.asdict(found),
                "holds": found.drop <= options.max_drop,
                "float_macs": in_float,
                "float_macs_share": in_float / total if total else 0.0,
            }
        )
    return {
        "met": outcome.met,
        "max_drop": options.max_drop,
        "float32": accuracy,
        "calibration_samples": len(searched.calibration),
        "evaluation_samples": len(searched.evaluation),
        "macs": total,
        "chosen": [each for each, _ in outcome.tried].index(outcome.chosen),
        "candidates": candidates,
    }


def _save(
    searched: SearchedNetwork,
    chosen: Candidate,
    report: Mapping[str, Any],
    options: AutoOptions,
) -> Tuple[str, ...]:
    record_file, config_file, report_file = (
        os.path.join(options.folder, name) for name in (_RECORD, _CONFIG, _REPORT)
    )
    config = searched.config(chosen)
    ptq_json.write(config_file, config)
    with FileSet() as files:
        files.add(record_file, records.format(searched.record(chosen)))
        files.add(report_file, json.dumps(report, indent=1) + "\n")
    network = attrs.evolve(searched.network, graph=searched.graph(chosen.recipe), config=config)
    prefix = os.path.join(options.folder, PREFIX)
    model = searched.model(chosen)
    shapes = {name: array.shape for name, array in searched.calibration.arrays.items()}
    saved = workflow.save_quantized(
        network, model, "Both", prefix, options.backend, calibrated_shapes=shapes
    )
    return (config_file, record_file, report_file, *saved)
