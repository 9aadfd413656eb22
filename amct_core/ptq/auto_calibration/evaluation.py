"""The user's evaluator behind its contract: what it returns is checked, what it raises passes."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from amct_core.errors import AutoCalibrationError
from amct_core.file_names import ModelFiles
from amct_core.ptq.auto_calibration.search import Verdict

if TYPE_CHECKING:
    from typing_extensions import Protocol

    class Evaluator(Protocol):
        """What a user writes; AMCT's ``AutoCalibrationEvaluatorBase``."""

        def calibration(self, model_file: str, weights_file: str) -> object:
            """Run at least ``batch_num`` forwards of the model."""

        def evaluate(self, model_file: str, weights_file: str) -> Any:
            """Return the metric of the model: whatever ``metric_eval`` understands."""

        def metric_eval(self, original_metric: Any, new_metric: Any) -> Any:
            """Return (whether the new metric satisfies, the loss)."""


class CheckedEvaluator:
    """An evaluator whose return values are checked.

    Attributes:
        last: the last verdict; None before the first.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self.last: Optional[Verdict] = None

    def calibrate(self, files: ModelFiles) -> None:
        """Let the user run the model that is calibrated."""
        self._evaluator.calibration(files.model, files.weights)

    def evaluate(self, files: ModelFiles) -> Any:
        """Return the metric of a model.

        Raises:
            AutoCalibrationError: ``evaluate`` returned None.
        """
        metric = self._evaluator.evaluate(files.model, files.weights)
        if metric is None:
            raise self._error(
                "evaluate", "it returned None; expected the model's metric, such as its accuracy."
            )
        return metric

    def judge(self, original: Any, new: Any) -> Verdict:
        """Return what ``metric_eval`` says.

        Raises:
            AutoCalibrationError: it is not a pair of a bool and a number.
        """
        found = self._evaluator.metric_eval(original, new)
        expected = "expected (satisfied, loss): a bool and a number."
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise self._error("metric_eval", f"it returned {found!r}; {expected}")
        satisfied, loss = found
        if not isinstance(satisfied, (bool, np.bool_)):
            raise self._error("metric_eval", f"satisfied is {satisfied!r}; {expected}")
        if isinstance(loss, np.ndarray) and loss.size == 1:
            loss = loss.item()
        if isinstance(loss, (bool, np.bool_)) or not isinstance(loss, numbers.Real):
            raise self._error("metric_eval", f"loss is {loss!r}; {expected}")
        self.last = Verdict(bool(satisfied), float(loss))
        return self.last

    def _error(self, method: str, problem: str) -> AutoCalibrationError:
        return AutoCalibrationError(
            problem,
            field=f"{type(self._evaluator).__name__}.{method}",
            remedy="Correct the evaluator.",
        )
