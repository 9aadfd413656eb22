"""What auto calibration tells: AMCT's log lines, and its three files, each of them valid JSON."""

from __future__ import annotations

import json
import logging
import math
import numbers
import os
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import attrs

from amct_core.extensions.fallback import Ranking
from amct_core.files import FileSet
from amct_core.logging import folder, said_by
from amct_core.ptq.auto_calibration.search import RolledBack, Verdict

_log = logging.getLogger("amct_core.ptq")

_PREFIX = "accuracy_based_auto_calibration"
_PAIRS_PER_LINE = 10


@attrs.frozen
class Trial:
    """One candidate that was calibrated, saved and evaluated.

    Attributes:
        rolled_back: the layers that it leaves in float.
        accuracy: what the user's ``evaluate`` returned.
        verdict: what the user's ``metric_eval`` said.
        seconds: what it took.
        files: what was saved for it.
    """

    rolled_back: RolledBack
    accuracy: Any
    verdict: Verdict
    seconds: float
    files: Tuple[str, ...]


def say(message: str, *values: object) -> None:
    """Log one line as AMCT does."""
    _log.info(message, *values, extra=said_by("AMCT"))


def ranking_file(folder: str) -> str:
    """Return the file of the sensitivities: a list of pairs of layer and score, ascending."""
    return os.path.join(folder, f"{_PREFIX}_ranking_information.json")


def final_config_file(folder: str) -> str:
    """Return the file of the configuration of the saved model."""
    return os.path.join(folder, f"{_PREFIX}_final_config.json")


def history_file() -> str:
    """Return the file that lists every candidate; it stands beside the log."""
    return os.path.join(folder(os.environ), f"{_PREFIX}_record.json")


def write_ranking(path: str, ranking: Ranking) -> None:
    """Write the ranking and log it."""
    for layer, score in ranking:
        say("******** sensitivity of module %s is %s ********", layer, score)
    _write(path, [[layer, score] for layer, score in ranking])


def write_history(path: str, layers: Sequence[str], trials: Iterable[Trial]) -> None:
    """Write all candidates so far, the first of them with every layer quantized."""
    _write(path, [entry(trial, layers) for trial in trials])


def entry(trial: Trial, layers: Sequence[str]) -> Dict[str, Any]:
    """Return what the history says of one candidate; the first two keys are AMCT's.

    ``roll_back_config`` has true for a layer that is quantized, false for one that stays in float.
    """
    return {
        "roll_back_config": flags(trial.rolled_back, layers),
        "metric_eval": [trial.verdict.satisfied, _number(trial.verdict.loss)],
        "accuracy": _number(trial.accuracy),
        "seconds": round(trial.seconds, 3),
        "files": [os.path.basename(path) for path in trial.files],
    }


def flags(rolled_back: RolledBack, layers: Sequence[str]) -> Dict[str, bool]:
    """Return for each layer whether it is quantized."""
    return {layer: layer not in rolled_back for layer in layers}


def say_step(number: int, rolled_back: RolledBack, layers: Sequence[str]) -> None:
    """Log which candidate is tried."""
    say("%s fine search step %d %s", "*" * 20, number, "*" * 20)
    say("quant layers:")
    pairs: List[Tuple[str, bool]] = list(flags(rolled_back, layers).items())
    for first in range(0, len(pairs), _PAIRS_PER_LINE):
        say("%s", pairs[first : first + _PAIRS_PER_LINE])


def say_history(layers: Sequence[str], trials: Iterable[Trial]) -> None:
    """Log the history when the search has succeeded."""
    say("Fine search finish, automatic calibration succeed!")
    say("accuracy based auto calibration search record:")
    for trial in trials:
        say("%s", {key: entry(trial, layers)[key] for key in ("roll_back_config", "metric_eval")})


def say_result(
    original: Any, of_global: Any, saved: Any, result_folder: str, record_folder: str
) -> None:
    """Log AMCT's five closing lines."""
    say("Accuracy of original model is         %s", original)
    say("Accuracy of global quantized model is %s", of_global)
    say("Accuracy of saved model is            %s", saved)
    say("The generated model is stored in dir: %s", result_folder)
    say("The records file is stored in dir:    %s", record_folder)


def say_cost(seconds: float) -> None:
    """Log AMCT's banner of the time it took."""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    banner = "*" * 53
    say("%s", banner)
    say("#>Func name: %s", _PREFIX)
    say("#>Cost time: %d hours, %d minutes, %s seconds", hours, minutes, round(rest, 2))
    say("%s", banner)


def _number(value: Any) -> Optional[Any]:
    """Return what JSON can hold: a finite number, or None for another one, or the text."""
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    return str(value)


def _write(path: str, document: object) -> None:
    with FileSet(announce=False) as files:
        files.update(path, json.dumps(document, indent=1, allow_nan=False) + "\n")
