"""The simulator without quantization beside Caffe, as ``benchmarks/float_parity.py`` compares them.

``make measure`` takes more images and networks; here the first few images of two.
"""

from __future__ import annotations

import json

import pytest
from digits import REPOSITORY, run_python

pytestmark = [pytest.mark.caffe, pytest.mark.slow]


@pytest.mark.parametrize(
    ("network", "exact", "inexact"), [("resnet20", 67, 23), ("squeezenet", 39, 26)]
)
def test_each_layer_gives_what_caffe_gives(shared, tmp_path, network, exact, inexact):
    done = run_python(
        tmp_path,
        str(REPOSITORY / "benchmarks/float_parity.py"),
        *("--shared", str(shared), "--network", network, "--images", "4"),
    )
    measured = json.loads(done.stdout)["networks"][network]
    assert measured["images"] == 4
    assert [engine["engine"] for engine in measured["engines"]] == ["fast", "reference"]
    for engine in measured["engines"]:
        same_input = engine["same_input_exact"]
        assert (same_input["layers"], same_input["differing"]) == (exact, 0)
        assert same_input["floats"] > 0
        assert engine["same_input_inexact"]["layers"] == inexact
        assert engine["same_input_inexact"]["worst"] <= 1e-6
        assert engine["free_running"]["layers"] == exact + inexact
        assert engine["free_running"]["worst_image"] <= 1e-5
        assert engine["differing_when_only_outputs_are_asked_for"] == 0
