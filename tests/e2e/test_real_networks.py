"""Real networks, as ``benchmarks/real_networks.py`` takes them through every step.

``make measure`` compares them over 400 images; here the first few of them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from digits import REPOSITORY, run_python

pytestmark = [pytest.mark.caffe, pytest.mark.slow]

CORRELATION = 0.995


def measure(shared: Path, folder: Path, network: str, *options: str) -> dict[str, Any]:
    """Run the measurement of one network and check what holds for each of them."""
    script = str(REPOSITORY / "benchmarks/real_networks.py")
    done = run_python(folder, script, "--shared", str(shared), "--network", network, *options)
    results: dict[str, Any] = json.loads(done.stdout)["networks"][network]
    assert os.listdir(folder) == ["amct_log"]  # which importing amct_caffe sets up
    assert results["not_quantized"] == []
    verified = results["verify"]
    assert (verified["exact_integers"], verified["not_exact"]) == (True, [])
    assert (verified["input_int8_mismatches"], verified["accumulator_mismatches"]) == (0, 0)
    assert set(verified["output_mismatches"].values()) == {0}
    assert verified["samples"] == int(options[options.index("--samples") + 1])
    return results


def test_squeezenet_keeps_its_accuracy(shared, tmp_path):
    results = measure(
        *(shared, tmp_path, "squeezenet"),
        *("--samples", "24", "--iterations", "2", "--batch-size", "2"),
    )
    assert results["verify"]["layers"] == 26
    assert results["correlation"]["pool_final"] > CORRELATION
    top1 = results["top1"]
    assert (top1["images"], top1["trained_on"]) == (24, 4)
    # As close as 24 images can tell: they may differ in one.
    assert abs(round(24 * top1["quantized"]) - round(24 * top1["float32"])) <= 1


def test_open_nsfw_gives_what_it_gave_in_float32(shared, tmp_path):
    results = measure(
        *(shared, tmp_path, "open_nsfw"),
        *("--samples", "6", "--iterations", "2", "--batch-size", "1"),
    )
    assert results["verify"]["layers"] == 54
    assert min(results["correlation"].values()) > CORRELATION


def test_a_detector_with_depthwise_convolutions_gives_what_it_gave_in_float32(shared, tmp_path):
    results = measure(shared, tmp_path, "rfb320", "--samples", "12", "--iterations", "5")
    assert results["verify"]["layers"] == 52
    assert set(results["correlation"]) == {"scores", "boxes"}
    assert min(results["correlation"].values()) > CORRELATION


def test_resnet50_has_the_layers_and_sizes_that_amct_recorded(shared, tmp_path):
    results = measure(
        *(shared, tmp_path, "resnet50"),
        *("--samples", "2", "--iterations", "2", "--batch-size", "1"),
    )
    assert results["verify"]["layers"] == 54
    assert results["record"] == {
        "layers": 54,
        "layers_of_amct": 54,
        "only_one_has": [],
        "same_order": True,
        "other_sizes": [],
    }


def test_mobilenet_runs_through_every_step_with_batch_norm_folded_before(shared, tmp_path):
    results = measure(
        *(shared, tmp_path, "mobilenet_v1"),
        *("--samples", "2", "--iterations", "2", "--batch-size", "1"),
        *("--batch-norm", "fold", "--base-lr", "1e-7"),
    )
    assert results["verify"]["layers"] == 28
