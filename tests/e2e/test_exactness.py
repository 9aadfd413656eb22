"""Caffe and both engines on one quantized network, as ``benchmarks/exactness.py`` compares them.

``make measure`` takes five networks and all of their data; here the first images of the smallest.
"""

from __future__ import annotations

import json

import pytest
from digits import REPOSITORY, run_python

pytestmark = [pytest.mark.caffe, pytest.mark.slow]


def test_no_integer_of_lenet_differs(shared, tmp_path):
    done = run_python(
        tmp_path,
        str(REPOSITORY / "benchmarks/exactness.py"),
        *("--shared", str(shared), "--network", "lenet", "--images", "200", "--iterations", "2"),
    )
    measured = json.loads(done.stdout)["networks"]["lenet"]
    assert (measured["holds"], measured["images"]) == (True, 200)
    assert (measured["layers_quantized"], measured["not_quantized"]) == (4, [])
    # Inputs and outputs of conv1, conv2, ip1 and ip2.
    inputs = 28 * 28 + 20 * 12 * 12 + 50 * 4 * 4 + 500
    accumulators = 20 * 24 * 24 + 50 * 8 * 8 + 500 + 10
    caffe, engines = measured["caffe_and_fast"], measured["reference_and_fast"]
    assert caffe["int8_compared"] == engines["int8"]["compared"] == 200 * inputs
    assert caffe["int32_compared"] == engines["int32"]["compared"] == 200 * accumulators
    assert (caffe["int8_differing"], caffe["int32_differing"]) == (0, 0)
    assert {kind: found["differing"] for kind, found in engines.items()} == {
        "float32": 0,
        "int32": 0,
        "int8": 0,
        "outputs_alone": 0,
    }
