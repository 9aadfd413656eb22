"""ResNet-20 with its real weights on CIFAR-10, as ``benchmarks/resnet20_cifar.py`` runs it.

A few hundred iterations and the whole test set are measured by ``make measure``; here a few
iterations and test images drawn with a fixed seed.
"""

from __future__ import annotations

import json

import pytest
from digits import REPOSITORY, run_python

pytestmark = [pytest.mark.caffe, pytest.mark.slow]

SAMPLES = 200
QUANTIZED_LAYERS = 22
"""19 convolutions of 3 x 3, two projections of 1 x 1, and the classifier."""


@pytest.fixture(scope="module")
def results(shared, tmp_path_factory) -> dict:
    """Return what the benchmark prints for a short schedule in both modes."""
    folder = tmp_path_factory.mktemp("resnet20")
    done = run_python(
        folder,
        str(REPOSITORY / "benchmarks/resnet20_cifar.py"),
        *("--shared", str(shared), "--iterations", "5", "--batch-size", "32"),
        *("--train-samples", "160", "--samples", str(SAMPLES)),
    )
    assert [path.name for path in folder.iterdir()] == ["amct_log"]  # of importing amct_caffe
    return json.loads(done.stdout)


@pytest.fixture(params=["keep", "fold"])
def quantized(request, results) -> dict:
    """Return the part of the results for one way of treating BatchNorm."""
    (own,) = [part for part in results["quantized"] if part["batch_norm"] == request.param]
    return own


def test_no_integer_differs_between_the_fake_quant_model_and_the_simulation(quantized):
    report = quantized["verify"]
    assert (report["exact_integers"], report["samples"]) == (True, SAMPLES)
    assert len(report["layers"]) == QUANTIZED_LAYERS
    for layer in report["layers"]:
        assert (layer["input_int8_mismatches"], layer["accumulator_mismatches"]) == (0, 0)
    assert [output["mismatches"] for output in report["outputs"]] == [0]
    assert quantized["integer"] == pytest.approx(quantized["fake_quant"], abs=1e-6)


def test_a_few_iterations_keep_the_accuracy_of_float32(results, quantized):
    assert results["float32_before_fine_tuning"] > 0.76  # 81.08 % over all images (its README)
    assert quantized["points_below_float32"] <= 2.0  # four images of 200
