"""Recurrent networks: inputs that count time steps, and layers that Caffe alone computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from plugins.cpu_sim_backend.tests.integers.corrupting import Saved
from plugins.cpu_sim_backend.tests.verdicts.in_caffe import save

pytestmark = pytest.mark.caffe

STEPS, STREAMS = 3, 2
FRAMES = """
layer { name: "data" type: "Input" top: "data" input_param { shape {
  dim: 6 dim: 3 dim: 8 dim: 8 } } }
layer { name: "cont" type: "Input" top: "cont" input_param { shape { dim: 3 dim: 2 } } }
layer { name: "one" type: "Convolution" bottom: "data" top: "one"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "in_time" type: "Reshape" bottom: "one" top: "in_time"
  reshape_param { shape { dim: 3 dim: 2 dim: -1 } } }
layer { name: "lstm" type: "LSTM" bottom: "in_time" bottom: "cont" top: "lstm"
  recurrent_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "per_frame" type: "Reshape" bottom: "lstm" top: "per_frame"
  reshape_param { shape { dim: 6 dim: 5 } } }
layer { name: "last" type: "InnerProduct" bottom: "per_frame" top: "last"
  inner_product_param { num_output: 3 } }
"""
TIME_FIRST = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 3 dim: 2 dim: 4 } } }
layer { name: "cont" type: "Input" top: "cont" input_param { shape { dim: 3 dim: 2 } } }
layer { name: "rnn" type: "RNN" bottom: "x" bottom: "cont" top: "rnn"
  recurrent_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "last" type: "InnerProduct" bottom: "rnn" top: "last"
  inner_product_param { num_output: 3 } }
"""


def cont(steps: int) -> np.ndarray:
    """Return which steps continue a sequence: all but every third one."""
    found = np.ones((steps, STREAMS), np.float32)
    found[::STEPS] = 0
    return found


def frames(folder: Path, batches: int) -> Saved:
    data = np.random.default_rng(7).normal(0, 1, (batches * STEPS * STREAMS, 3, 8, 8))
    return save(folder, FRAMES, data=data.astype(np.float32), cont=cont(batches * STEPS))


@pytest.mark.parametrize("options", [[], ["--engine", "reference"], ["--batch-size", "4"]])
def test_frames_and_time_steps_are_compared(
    tmp_path: Path, capsys: Any, options: List[str]
) -> None:
    found = frames(tmp_path, batches=2).verify(capsys, *options)
    report = found.report
    assert (found.exit_code, report["exact"], report["samples"]) == (0, True, 12)
    assert report["fed_layers"] == ["lstm"]
    assert [layer["name"] for layer in report["layers"]] == ["one", "last"]
    assert [output["blob"] for output in report["outputs"]] == ["last"]


@pytest.mark.parametrize("steps", [3, 9, 5])
def test_any_number_of_time_steps_is_compared(tmp_path: Path, capsys: Any, steps: int) -> None:
    """Caffe ends the process where a net gets another number of steps than it was built for."""
    x = np.random.default_rng(8).normal(0, 1, (steps, STREAMS, 4)).astype(np.float32)
    found = save(tmp_path, TIME_FIRST, x=x, cont=cont(steps)).verify(capsys, "--batch-size", "2")
    assert (found.exit_code, found.report["exact"], found.report["samples"]) == (0, True, steps)
    assert found.report["fed_layers"] == ["rnn"]
    assert [layer["name"] for layer in found.report["layers"]] == ["last"]
