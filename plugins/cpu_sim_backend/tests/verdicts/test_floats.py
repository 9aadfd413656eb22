"""Float layers of a deployable model that are not those of the fake-quant model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest
from numpy.typing import NDArray

from cpu_sim_backend.float_comparison import beyond_tolerance, other_bits
from plugins.cpu_sim_backend.tests.integers.corrupting import Saved, quantized
from tests.conformance.weights import write_random_weights

NETWORK = """
layer { name: "data" type: "Input" top: "data" input_param { shape {
  dim: 2 dim: 3 dim: 6 dim: 6 } } }
layer { name: "one" type: "Convolution" bottom: "data" top: "one"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "last" type: "PReLU" bottom: "one" top: "last" }
"""


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Return a saved network that ends in a float layer that is claimed exact."""
    (tmp_path / "n.prototxt").write_text(NETWORK)
    write_random_weights(str(tmp_path / "n.prototxt"), tmp_path / "n.caffemodel")
    data = np.random.default_rng(1).normal(0, 1, (3, 3, 6, 6)).astype(np.float32)
    return quantized(tmp_path, data=data)


def changed(change: Callable[[NDArray[Any]], Any]) -> Callable[[Dict[str, List[Any]]], None]:
    def damage(blobs: Dict[str, List[Any]]) -> None:
        blobs["last"][0] = change(blobs["last"][0]).astype(np.float32)

    return damage


@pytest.mark.caffe
def test_the_last_bit_of_a_slope_shows_and_does_not_fail(saved: Saved, capsys: Any) -> None:
    assert saved.verify(capsys).report["exact"] is True
    saved.damage(changed(lambda slopes: np.nextafter(slopes, np.float32(2))))
    found = saved.verify(capsys)
    report = found.report
    assert (found.exit_code, report["exact"], report["exact_integers"]) == (0, False, True)
    (output,) = report["floats"]
    assert output["different_values"] > 0
    assert (output["inexact_upstream"], output["beyond_tolerance"]) == ([], 0)
    assert report["outputs"] == [{"blob": "last", "mismatches": output["different_values"]}]


@pytest.mark.caffe
def test_another_slope_fails_though_no_integer_differs(saved: Saved, capsys: Any) -> None:
    saved.damage(changed(lambda slopes: slopes * 1.001))
    found = saved.verify(capsys)
    report = found.report
    assert (found.exit_code, report["exact"], report["exact_integers"]) == (1, False, True)
    assert report["floats"][0]["beyond_tolerance"] > 0


NAN = np.array([0x7FC00000, 0xFFC00001], np.uint32).view(np.float32)


@pytest.mark.parametrize(
    ("mine", "theirs", "bits", "beyond"),
    [
        (NAN[0], NAN[1], False, False),
        (NAN[0], 1.0, True, True),
        (0.0, -0.0, True, False),
        (np.inf, np.inf, False, False),
        (np.inf, -np.inf, True, True),
        (np.inf, 1.0, True, True),
        (8.0, np.nextafter(np.float32(8), np.float32(9)), True, False),
        (8.0, 8.0001, True, True),
        (1e-6, 2e-6, True, False),  # the blob holds an 8
    ],
)
def test_what_counts_as_different(mine: float, theirs: float, bits: bool, beyond: bool) -> None:
    both = [np.array([value, 8.0], np.float32) for value in (mine, theirs)]
    assert other_bits(*both).tolist() == [bits, False]
    assert beyond_tolerance(*both).tolist() == [beyond, False]
