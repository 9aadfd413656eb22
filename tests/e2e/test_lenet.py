"""BVLC's LeNet with its real weights on MNIST, as ``benchmarks/lenet_mnist.py`` runs it.

The whole test set is measured by ``make measure``; here the first images of it.
"""

from __future__ import annotations

import json
import os

import pytest
from digits import REPOSITORY, run_python

pytestmark = [pytest.mark.caffe, pytest.mark.slow]

SAMPLES = 1000
ALGORITHMS = ("search_n_v2", "search_n", "none")


@pytest.fixture(scope="module")
def results(shared, tmp_path_factory) -> dict:
    """Return what the benchmark prints for a short schedule with each search for N."""
    folder = tmp_path_factory.mktemp("lenet")
    algorithms = [option for each in ALGORITHMS for option in ("--shift-n-algo", each)]
    done = run_python(
        folder,
        str(REPOSITORY / "benchmarks/lenet_mnist.py"),
        *("--shared", str(shared), *algorithms),
        *("--iterations", "50", "--train-samples", str(50 * 64), "--samples", str(SAMPLES)),
    )
    assert os.listdir(folder) == ["amct_log"]  # which importing amct_caffe sets up
    return json.loads(done.stdout)


def test_its_accuracy_in_float32_is_the_recorded_one(results):
    assert results["float32"] == pytest.approx(0.9905, abs=1e-6)  # models/README.md


@pytest.mark.parametrize("shift_n_algo", ALGORITHMS)
def test_its_fake_quant_model_and_its_integers_are_the_same_and_as_good(results, shift_n_algo):
    (quantized,) = (
        found for found in results["quantized"] if found["shift_n_algo"] == shift_n_algo
    )
    assert quantized["fake_quant_in_caffe"] > 0.9875
    assert quantized["differing_classes"] == 0
    assert quantized["fake_quant"] == quantized["integer"]
    report = quantized["verify"]
    assert (report["exact_integers"], report["samples"]) == (True, SAMPLES)
    assert [layer["name"] for layer in report["layers"]] == ["conv1", "conv2", "ip1", "ip2"]
    for layer in report["layers"]:
        assert (layer["input_int8_mismatches"], layer["accumulator_mismatches"]) == (0, 0)
    assert all(output["mismatches"] == 0 for output in report["outputs"])
