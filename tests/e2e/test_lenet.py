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


@pytest.mark.parametrize("shift_n_algo", ["search_n_v2", "search_n", "none"])
def test_its_fake_quant_model_and_its_integers_are_the_same_and_as_good(
    shared, tmp_path, shift_n_algo
):
    done = run_python(
        tmp_path,
        str(REPOSITORY / "benchmarks/lenet_mnist.py"),
        *("--shared", str(shared), "--shift-n-algo", shift_n_algo),
        *("--iterations", "50", "--train-samples", str(50 * 64), "--samples", str(SAMPLES)),
    )
    results = json.loads(done.stdout)
    assert results["float32"] == pytest.approx(0.9905, abs=1e-6)  # models/README.md
    (quantized,) = results["quantized"]
    assert quantized["fake_quant_in_caffe"] > 0.9875
    assert quantized["differing_classes"] == 0
    assert quantized["fake_quant"] == quantized["integer"]
    report = quantized["verify"]
    assert (report["exact"], report["samples"]) == (True, SAMPLES)
    assert [layer["name"] for layer in report["layers"]] == ["conv1", "conv2", "ip1", "ip2"]
    for layer in report["layers"]:
        assert (layer["input_int8_mismatches"], layer["accumulator_mismatches"]) == (0, 0)
    assert all(output["mismatches"] == 0 for output in report["outputs"])
    assert os.listdir(tmp_path) == []
