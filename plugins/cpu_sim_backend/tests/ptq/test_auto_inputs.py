"""``amct ptq auto``: which arrays are the inputs and the labels, and what cannot be judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amct_core.errors import ConfigError
from amct_core.file_names import deploy_files
from amct_core.plugins import registries
from amct_core.workflow import frontend_for
from cpu_sim_backend.ptq.auto import AutoOptions, quantize_automatically
from cpu_sim_backend.scoring.metrics import checked_scores
from plugins.cpu_sim_backend.tests.ptq.test_auto import MODEL, files, options

__all__ = ["files"]

INPUTS = MODEL[MODEL.index("layer {") : MODEL.index('layer { name: "conv1"')]
DATA_LAYER = (
    'layer {{ name: "mnist" type: "Data" top: "data" top: "target" include {{ phase: {} }}\n'
    '  data_param {{ source: "no_such_folder" batch_size: {} backend: LMDB }} }}\n'
)
TRAIN_TEST = MODEL.replace(INPUTS, DATA_LAYER.format("TRAIN", 64) + DATA_LAYER.format("TEST", 100))
TRAIN_TEST = TRAIN_TEST.replace('"label"', '"target"') + (
    'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "target" top: "loss" }\n'
)
"""Inputs as BVLC's lenet_train_test.prototxt has them: the data are in a database."""


@pytest.fixture
def arrays(files: dict[str, str]) -> dict[str, Any]:
    with np.load(files["data"]) as data:
        return dict(data)


def test_the_tops_of_data_layers_are_the_inputs(files, arrays, tmp_path: Path) -> None:
    Path(files["model_file"]).write_text(TRAIN_TEST)
    np.savez(files["data"], data=arrays["data"], target=arrays["label"])
    report = quantize_automatically(options(files, tmp_path / "o", max_drop=5.0)).report
    assert (report["float32"], report["met"]) == (100.0, True)
    assert report["macs"] == 36 * 8 * 27 + 16 * 8 * 72 + 4 * 128
    deployed = deploy_files(str(tmp_path / "o/model")).model
    graph = frontend_for(deployed, registries()).read_deployed(deployed)
    assert graph.node("data").attributes.shapes == ((100, 3, 8, 8),)


def test_an_input_of_a_data_layer_without_an_array_is_named(files, arrays, tmp_path: Path) -> None:
    Path(files["model_file"]).write_text(TRAIN_TEST)
    np.savez(files["data"], images=arrays["data"], target=arrays["label"])
    with pytest.raises(ConfigError, match="inputs are data, and each needs one"):
        quantize_automatically(options(files, tmp_path / "o"))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((220, 4, 8, 8), r"expected numbers of shape \(N, 3, 8, 8\)"),
        ((220, 8, 8, 3), r"expected numbers of shape \(N, 3, 8, 8\)"),
        ((220, 3, 64), r"expected numbers of shape \(N, 3, 8, 8\)"),
        ((220, 3, 9, 9), r"layer 'ip'.*cannot take arrays of the shapes 'data' \(.*, 3, 9, 9\)"),
    ],
)
@pytest.mark.parametrize("which", ["data", "evaluation_data"])
def test_samples_of_another_shape_are_told(
    files, arrays, tmp_path: Path, shape, words, which: str
) -> None:
    path = str(tmp_path / "other.npz")
    np.savez(path, data=np.ones(shape, np.float32), label=arrays["label"])
    with pytest.raises(ConfigError, match=words) as told:
        quantize_automatically(options({**files, which: path}, tmp_path / "o"))
    assert told.value.file == path


def test_samples_that_are_no_numbers_are_told(files, arrays, tmp_path: Path) -> None:
    np.savez(files["data"], data=arrays["data"].astype(str), label=arrays["label"])
    with pytest.raises(ConfigError, match="expected numbers of shape"):
        quantize_automatically(options(files, tmp_path / "o"))


def test_scores_with_positions_are_no_scores_of_classes(files, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'conv2' gives scores of shape \(200, 8, 4, 4\)"):
        quantize_automatically(options(files, tmp_path / "o", scores="conv2"))
    assert not (tmp_path / "o/auto_report.json").exists()


def test_an_accuracy_of_0_has_nothing_to_lose(files, arrays, tmp_path: Path) -> None:
    scores = arrays["label"]
    np.savez(files["data"], data=arrays["data"], label=(scores + 1) % 4)
    with pytest.raises(ConfigError, match="accuracy in float32 is 0 on 200 samples"):
        quantize_automatically(options(files, tmp_path / "o"))
    assert not (tmp_path / "o/auto_report.json").exists()


@pytest.mark.parametrize("found", [97.3, -0.5, [0.0, 1.0, 1.5], [0.5, -1.0, 1.0]])
def test_a_metric_is_from_0_to_1(found) -> None:
    with pytest.raises(ConfigError, match=r"where 1 is 100 % and 0 is 0 %.* Scale"):
        checked_scores(found, 3)
    assert checked_scores(np.float32(1) + np.spacing(np.float32(1)), 3) > 1


def test_samples_are_checked_before_the_network_runs(files, arrays, tmp_path: Path) -> None:
    np.savez(files["data"], data=arrays["data"][:, :2], label=arrays["label"])
    with pytest.raises(ConfigError):
        quantize_automatically(AutoOptions(folder=str(tmp_path / "o"), **files))
    journal = tmp_path / "o/auto_journal.json"
    assert not journal.exists() or json.loads(journal.read_text())["results"] == []
