"""The names of non-uniform quantization are there; calling says that it is not offered."""

from __future__ import annotations

import pytest

import amct_caffe as amct
from amct_caffe.auto_nuq import AutoNuqEvaluatorBase


class Evaluator(AutoNuqEvaluatorBase):
    def __init__(self) -> None:
        super().__init__(self)  # as AMCT's sample does


def test_the_evaluator_of_amcts_sample_can_be_made() -> None:
    assert isinstance(Evaluator(), AutoNuqEvaluatorBase)


def test_the_module_is_the_function_too_and_says_what_to_use() -> None:
    with pytest.raises(RuntimeError, match=r"not offered.*accuracy_based_auto_calibration"):
        amct.auto_nuq("m", "w", Evaluator(), "c.json", "r.txt", "results/n")


def test_keywords_are_amcts() -> None:
    with pytest.raises(RuntimeError, match="not offered"):
        amct.auto_nuq(
            model_file="m",
            weights_file="w",
            nuq_evaluator=Evaluator(),
            config_file="c",
            scale_offset_record_file="r",
            save_dir="s",
        )
