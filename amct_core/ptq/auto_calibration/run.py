"""AMCT's accuracy-based auto calibration: quantize, evaluate, and roll layers back to float.

Each candidate is calibrated and saved in a temporary folder from the same float network.  The files
of the best one are put in place at the end: nothing is calibrated or evaluated a second time.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import time
from typing import Any, Callable, Iterator, List, Tuple

import attrs

from amct_core import record as records
from amct_core.config import ptq_json
from amct_core.config.error_list import ErrorList
from amct_core.contracts.fallbacks import CheckedFallback
from amct_core.deploy_choice import DeployChoice
from amct_core.distinct_files import check_distinct
from amct_core.errors import ConfigError
from amct_core.extensions.fallback import FallbackStrategy, Ranking, Sensitivity
from amct_core.file_names import ModelFiles, fake_quant_files, saved_files
from amct_core.files import FileSet
from amct_core.plugins import registries
from amct_core.ptq import kept_batches, workflow
from amct_core.ptq.auto_calibration import report
from amct_core.ptq.auto_calibration.evaluation import CheckedEvaluator
from amct_core.ptq.auto_calibration.ranking import rank
from amct_core.ptq.auto_calibration.report import Trial, say
from amct_core.ptq.auto_calibration.search import RolledBack, Verdict, search
from amct_core.ptq.plan import make_plan
from amct_core.ptq.workflow import PtqNetwork
from amct_core.workflow import log_saved

_NOTHING: RolledBack = frozenset()


@attrs.frozen
class Request:
    """What is asked for.

    Attributes:
        model_file, weights_file: the trained network.
        config_file: JSON of the quantization; it is read, never written.
        record_file: record of the saved model; written at the end.
        save_path: folder and prefix of the saved model.
        evaluator: the user's.
        strategy, sensitivity: how the layers that stay in float are found.
        default_backend: who writes the deployable model.
    """

    model_file: str
    weights_file: str
    config_file: str
    record_file: str
    save_path: str
    evaluator: CheckedEvaluator
    strategy: FallbackStrategy
    sensitivity: Sensitivity
    default_backend: DeployChoice

    @property
    def folder(self) -> str:
        """Where the results go; absolute."""
        return os.path.dirname(os.path.realpath(self.save_path))


def auto_calibrate(request: Request) -> bool:
    """Quantize as many layers as the user's metric allows; return whether a model was saved.

    Raises:
        ConfigError: the original model does not satisfy when it is compared with itself.
        AutoCalibrationError: evaluator, strategy or sensitivity breaks its contract.
        AmctError: what reading, calibrating and saving can raise.

    What the user's evaluator raises passes as it is.  The temporary folder goes in any case.
    """
    started = time.monotonic()
    saved = _auto_calibrate(request)
    report.say_cost(time.monotonic() - started)
    return saved


def _auto_calibrate(request: Request) -> bool:
    check_distinct(
        {
            "config_file": request.config_file,
            "model_file": request.model_file,
            "weights_file": request.weights_file,
        },
        {
            "record_file": request.record_file,
            "save_dir (its ranking)": report.ranking_file(request.folder),
            "save_dir (its configuration)": report.final_config_file(request.folder),
        },
        request.save_path,
    )
    evaluator = request.evaluator
    errors = ErrorList()
    config = ptq_json.read(request.config_file, errors)
    with _temporary_folder(request.folder) as folder:
        network = workflow.reopen_with(
            attrs.evolve(config, joint_quant=False),
            request.config_file,
            request.model_file,
            request.weights_file,
            os.path.join(folder, "record.txt"),
            errors,
        )
        original = evaluator.evaluate(ModelFiles(request.model_file, request.weights_file))
        say("original evaluation accurcay: %s", original)  # AMCT's spelling
        _check_metric(evaluator.judge(original, original))
        trials = _Trials(request, network, folder, original)
        first = trials.run(_NOTHING, keep_inputs=True)
        say("global calibration accuracy: %s", first.accuracy)
        ranking = _ranking(trials, request)
        if first.verdict.satisfied:
            say(
                "The model satisfy the requirement after all layers are quantized, automatic "
                "calibration succeed!"
            )
        elif not _search(trials, ranking, request.strategy):
            say(
                "No quantized model are generated due to all quant layers are roll backed, the "
                "accuracy target may be too difficult to achieve."
            )
            _remove_results(request)
            return False
        else:
            report.say_history(trials.layers, trials.done)
        _put_in_place(trials, request)
        report.say_result(
            original,
            first.accuracy,
            trials.best.accuracy,
            request.folder,
            os.path.dirname(os.path.realpath(request.record_file)),
        )
    return True


class _Trials:
    """The candidates: each is calibrated, saved and evaluated in a folder of its own.

    Attributes:
        network: with all layers that the configuration enables.
        layers: their names, in network order.
        done: what was tried, in order.
    """

    def __init__(self, request: Request, network: PtqNetwork, folder: str, original: Any) -> None:
        self._request, self._folder, self._original = request, folder, original
        self.network = network
        enabled = network.config.enabled
        self.layers = tuple(node.name for node in network.graph.nodes if node.name in enabled)
        self.done: List[Trial] = []
        self.inputs_folder = os.path.join(folder, "inputs")
        os.mkdir(self.inputs_folder)

    @property
    def best(self) -> Trial:
        """The one that satisfies and rolls back the fewest layers, the later of equals."""
        satisfying = [trial for trial in reversed(self.done) if trial.verdict.satisfied]
        return min(satisfying, key=lambda trial: len(trial.rolled_back))

    def candidate(self, rolled_back: RolledBack, number: int) -> PtqNetwork:
        """Return the network of the candidate tried as ``number`` (from 0)."""
        layers = {
            name: attrs.evolve(layer, enabled=layer.enabled and name not in rolled_back)
            for name, layer in self.network.config.layers.items()
        }
        return attrs.evolve(
            self.network,
            config=self.network.config.with_layers(layers),
            record_file=os.path.join(self._subfolder(number), "record.txt"),
        )

    def run(self, rolled_back: RolledBack, keep_inputs: bool = False) -> Trial:
        """Try one candidate."""
        started = time.monotonic()
        number = len(self.done)
        folder, evaluator = self._subfolder(number), self._request.evaluator
        os.mkdir(folder)
        network = self.candidate(rolled_back, number)
        modified = ModelFiles(
            os.path.join(folder, "modified_model.prototxt"),
            os.path.join(folder, "modified_model.caffemodel"),
        )
        workflow.calibration_network(
            network, *modified, self.inputs_folder if keep_inputs else None
        )
        evaluator.calibrate(modified)
        save_path = os.path.join(folder, os.path.basename(self._request.save_path))
        files = workflow.save(
            network,
            "Both",
            save_path,
            default_backend=self._request.default_backend,
            final_folder=self._request.folder,
        )
        accuracy = evaluator.evaluate(fake_quant_files(save_path))
        verdict = evaluator.judge(self._original, accuracy)
        trial = Trial(rolled_back, accuracy, verdict, time.monotonic() - started, files)
        self.done.append(trial)
        report.write_history(report.history_file(), self.layers, self.done)
        return trial

    def judge(self, rolled_back: RolledBack) -> Verdict:
        """Try one candidate of the search, and log it."""
        report.say_step(len(self.done), rolled_back, self.layers)
        verdict = self.run(rolled_back).verdict
        self._remove_all_but_the_best()
        say("metric_eval: %s", (verdict.satisfied, verdict.loss))
        return verdict

    def _remove_all_but_the_best(self) -> None:
        """Free the disk: of a large network, each candidate takes several times its weights."""
        satisfying = any(trial.verdict.satisfied for trial in self.done)
        kept = self.done.index(self.best) if satisfying else None
        for number in range(len(self.done)):
            folder = self._subfolder(number)
            if number != kept and os.path.isdir(folder):
                shutil.rmtree(folder)

    def _subfolder(self, number: int) -> str:
        return os.path.join(self._folder, f"step{number}")


def _ranking(trials: _Trials, request: Request) -> Ranking:
    network = trials.candidate(_NOTHING, 0)
    plan = make_plan(network.graph, network.config, network.record_file, registries())
    numbers = {group.name: number for number, group in enumerate(plan.groups)}
    ranking = rank(
        plan,
        records.read(network.record_file),
        lambda group: kept_batches.batches(
            kept_batches.prefix(trials.inputs_folder, numbers[group.name])
        ),
        request.sensitivity,
    )
    shutil.rmtree(trials.inputs_folder)
    report.write_ranking(report.ranking_file(request.folder), ranking)
    return ranking


def _search(trials: _Trials, ranking: Ranking, strategy: FallbackStrategy) -> bool:
    started = CheckedFallback.start(strategy, ranking)
    return search(started, trials.layers, trials.judge) is not None


def _check_metric(verdict: Verdict) -> None:
    if not verdict.satisfied:
        raise ConfigError(
            "Compare between original_accuracy and original_accuracy can not satisfy the acc "
            "requirement, please check the metric_eval() function.",
            field="metric_eval",
            remedy="A model that is as good as the original has to satisfy it.",
        )


def _put_in_place(trials: _Trials, request: Request) -> None:
    """Write the files of the best candidate where the user wants them, all or none."""
    best = trials.best
    network = trials.candidate(best.rolled_back, trials.done.index(best))
    folder = os.path.dirname(request.save_path)
    with FileSet() as files:
        for source in best.files:
            _copy(source, os.path.join(folder, os.path.basename(source)), files.open)
        _copy(network.record_file, request.record_file, files.open)
        files.add(report.final_config_file(request.folder), ptq_json.format_config(network.config))
        written = files.paths
    log_saved(request.save_path, written)


def _copy(
    source: str, destination: str, opened: Callable[[str], contextlib.AbstractContextManager[Any]]
) -> None:
    with open(source, "rb") as reader, opened(destination) as writer:
        shutil.copyfileobj(reader, writer)


def _results(request: Request) -> Tuple[str, ...]:
    """Return every file that a search of this request writes when it succeeds."""
    return (
        *saved_files(request.save_path),
        report.final_config_file(request.folder),
        request.record_file,
    )


def _remove_results(request: Request) -> None:
    """Remove what an earlier search of the same name has saved: it is not this one's result."""
    for path in _results(request):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
            say("'%s' of an earlier run is removed", path)


@contextlib.contextmanager
def _temporary_folder(parent: str) -> Iterator[str]:
    """Make a folder in ``parent`` and remove it afterwards, whatever happens."""
    folder = os.path.join(parent, f"temp{datetime.datetime.now():%Y%m%d%H%M%S%f}")
    os.makedirs(folder, mode=0o750)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
