"""The user's own metrics: functions that judge outputs."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Any, Callable, Mapping, Optional

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.contracts.usage import Usage, shown
from amct_core.errors import AmctError, ConfigError
from amct_core.extensions import Evaluator
from amct_core.plugins import registries

Array = NDArray[Any]
_ROUNDING = 1e-6
_LONGEST = 80

Metric = Callable[[Mapping[str, Array], Optional[Array]], Any]
"""``(outputs, labels) -> scores``: outputs by blob; one number per sample, or one for all."""


def metric_function(metric: str) -> Metric:
    """Return the function that ``module:function`` names, or that a plugin provides by this name.

    Raises:
        ConfigError: it cannot be imported, or no plugin provides it.
    """
    module, colon, name = metric.partition(":")
    if module and not colon:
        return _of_plugin(metric)
    if not (module and name):
        raise ConfigError(f"it is '{metric}'; expected module:function.", field="metric")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # a console script does not have it
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"'{metric}' cannot be imported: {error}.",
            field="metric",
            remedy="Run in the folder of the module, or put that on PYTHONPATH.",
        ) from error
    if not callable(found):
        raise ConfigError(f"'{metric}' is a {type(found).__name__}, no function.", field="metric")
    return _UserMetric(metric, found)


def _of_plugin(name: str) -> Metric:
    evaluators = registries().evaluators
    if name not in evaluators:
        known = ", ".join(evaluators.names()) or "none"
        raise ConfigError(
            f"it is '{name}'; expected module:function, or the name of an evaluator: {known}.",
            field="metric",
            remedy="'amct plugins' lists what is installed.",
        )
    return _PluginMetric(evaluators.get(name))


@attrs.frozen
class _PluginMetric:
    """A metric of a plugin, whose mistakes are told as the plugin's."""

    evaluator: Evaluator

    def __str__(self) -> str:
        return f"plugin '{self.evaluator.provider}', evaluator '{self.evaluator.name}'"

    def __call__(self, outputs: Mapping[str, Array], labels: Optional[Array]) -> Any:
        usage = Usage(self.evaluator)
        with usage.running("score"):
            found = self.evaluator.score(outputs, labels)
        samples = sorted({len(array) for array in outputs.values()})
        try:
            scores = np.asarray(found, np.float64)
        except (TypeError, ValueError):
            scores = np.full((), np.nan)
        fits = scores.shape == () or (scores.ndim == 1 and len(scores) in samples)
        if not fits or not np.isfinite(scores).all():
            raise usage.error(
                f"score gave {shown(found)}; expected one finite number, or one for each of "
                f"{' or '.join(map(str, samples))} samples."
            )
        return scores


@attrs.frozen
class _UserMetric:
    """A metric of the user's, whose mistakes are told as the user's.

    Attributes:
        name: ``module:function``.
        function: it.
    """

    name: str
    function: Metric

    def __str__(self) -> str:
        return f"'{self.name}'"

    def __call__(self, outputs: Mapping[str, Array], labels: Optional[Array]) -> Any:
        try:
            return self.function(outputs, labels)
        except AmctError:
            raise
        except Exception as error:  # a user's code may raise anything; its traceback is the cause
            where = traceback.extract_tb(error.__traceback__)[-1]
            raise ConfigError(
                f"'{self.name}' raised {type(error).__name__}: {error} "
                f"('{where.filename}', line {where.lineno}).",
                field="metric",
                remedy="Correct the function; --debug shows the whole traceback.",
            ) from error


def checked_scores(found: Any, samples: int, metric: object = "it") -> Array:
    """Return what a metric gave as float64.

    Args:
        found: what it gave.
        samples: how many were judged.
        metric: who gave it, for messages.

    Raises:
        ConfigError: it is neither one number from 0 to 1 nor one per sample.
    """
    try:
        scores = np.asarray(found, np.float64)
    except (TypeError, ValueError) as error:
        raise _no_scores(metric, _shortened(repr(found)), samples) from error
    if scores.ndim > 1 or (scores.ndim == 1 and len(scores) != samples):
        raise _no_scores(metric, f"an array of shape {scores.shape}", samples)
    if not np.isfinite(scores).all():
        raise _no_scores(metric, "numbers that are not finite", samples)
    # A mean in float32 may be a little above 1.
    if scores.min(initial=0) < 0 or scores.max(initial=0) > 1 + _ROUNDING:
        raise _no_scores(metric, f"{scores.min():g} to {scores.max():g}", samples)
    return scores


def metric_value(name: str, found: Any, samples: int) -> float:
    """Return what a metric gave as one number: of numbers per sample, the mean.

    Raises:
        ConfigError: it is neither a finite number nor one per sample.
    """
    try:
        values = np.asarray(found, np.float64)
    except (TypeError, ValueError):
        values = np.full((), np.nan)
    if values.shape not in ((), (samples,)) or not np.isfinite(values).all():
        raise ConfigError(
            f"'{name}' gave {_shortened(repr(found))}; expected one finite number, or one for each "
            f"of {samples} samples.",
            field="metric",
            remedy="Let the function return a number, or an array of shape (N,).",
        )
    return float(values.mean())


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _no_scores(metric: object, what: str, samples: int) -> ConfigError:
    return ConfigError(
        f"{metric} gave {what}; expected one number, or one for each of {samples} samples, where "
        "1 is 100 % and 0 is 0 %.",
        field="metric",
        remedy="Scale what the function returns to 0..1: points are hundredths of that.",
    )
