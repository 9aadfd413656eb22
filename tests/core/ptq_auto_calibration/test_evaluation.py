"""What the user's evaluator returns is checked; what it raises is its own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from amct_core.errors import AutoCalibrationError
from amct_core.file_names import ModelFiles
from amct_core.ptq.auto_calibration.evaluation import CheckedEvaluator
from amct_core.ptq.auto_calibration.search import Verdict

FILES = ModelFiles("model.prototxt", "weights.caffemodel")


class Mine:
    def __init__(self, verdict: Any, metric: Any = 0.5) -> None:
        self.verdict, self.metric = verdict, metric

    def calibration(self, model_file: str, weights_file: str) -> None:
        raise KeyError(weights_file)

    def evaluate(self, model_file: str, weights_file: str) -> Any:
        return self.metric

    def metric_eval(self, original: Any, new: Any) -> Any:
        return self.verdict


@pytest.mark.parametrize(
    "returned",
    [(True, 0.25), [np.bool_(True), np.float32(0.25)], (True, np.array([0.25]))],
)
def test_numpys_scalars_are_taken_as_pythons(returned: Any) -> None:
    checked = CheckedEvaluator(Mine(returned))
    verdict = checked.judge(1, 2)
    assert verdict == Verdict(True, 0.25) == checked.last
    assert type(verdict.satisfied) is bool


def test_a_loss_that_is_not_a_number_is_a_verdict_too() -> None:
    assert math.isnan(CheckedEvaluator(Mine((False, math.nan))).judge(1, 2).loss)


@pytest.mark.parametrize(
    ("returned", "found"),
    [
        (None, "None"),
        (True, "True"),
        ((True,), r"\(True,\)"),
        ((1, 0.5), "satisfied is 1"),
        ((True, "much"), "loss is 'much'"),
        ((0.5, True), "satisfied is 0.5"),
    ],
)
def test_what_metric_eval_returns_wrongly_is_named(returned: Any, found: str) -> None:
    with pytest.raises(AutoCalibrationError, match=rf"Mine\.metric_eval.*{found}"):
        CheckedEvaluator(Mine(returned)).judge(1, 2)


def test_a_forgotten_return_is_named() -> None:
    with pytest.raises(AutoCalibrationError, match=r"Mine\.evaluate.*None"):
        CheckedEvaluator(Mine((True, 0.0), metric=None)).evaluate(FILES)


def test_what_the_evaluator_raises_keeps_its_traceback() -> None:
    with pytest.raises(KeyError) as caught:
        CheckedEvaluator(Mine((True, 0.0))).calibrate(FILES)
    assert caught.traceback[-1].path.name == "test_evaluation.py"
