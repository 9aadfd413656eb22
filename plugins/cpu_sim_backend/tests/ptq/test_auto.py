"""``amct ptq auto`` on the files of the demonstration network, without Caffe."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from amct_core.errors import ConfigError, FileFormatError, PluginError, QuantizationError
from amct_core.file_names import deploy_files
from amct_core.plugins import registries
from amct_core.ptq.auto import Candidate, Recipe
from amct_core.workflow import frontend_for
from cpu_sim_backend import Simulator
from cpu_sim_backend.ptq.auto import AutoOptions, quantize_automatically, run
from cpu_sim_backend.ptq.auto.command import command
from cpu_sim_backend.ptq.auto.network import SearchedNetwork
from cpu_sim_backend.scoring.labels import checked_labels, read_labels
from cpu_sim_backend.scoring.metrics import checked_scores
from cpu_sim_backend.scoring.scores import scoring_for

Array = NDArray[Any]

MODEL = """
name: "small"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 1 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 3 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
  convolution_param { num_output: 8 kernel_size: 3 } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "ip" type: "InnerProduct" bottom: "conv2" top: "ip"
  inner_product_param { num_output: 4 } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" }
"""
SHAPES = {"conv1": (8, 3, 3, 3), "conv2": (8, 8, 3, 3), "ip": (4, 128)}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Write a network, its weights, and samples whose labels are what it says in float32."""
    generator = np.random.default_rng(3)
    model, weights, data = (tmp_path / name for name in ("n.prototxt", "n.caffemodel", "d.npz"))
    model.write_text(MODEL)
    blobs = {
        name: [
            generator.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32),
            generator.normal(0, 0.1, shape[0]).astype(np.float32),
        ]
        for name, shape in SHAPES.items()
    }
    write_weights(weights, blobs)
    images = generator.normal(0, 1, (220, 3, 8, 8)).astype(np.float32)
    np.savez(data, data=images, label=classes(images, blobs))
    return {"model_file": str(model), "weights_file": str(weights), "data": str(data)}


def write_weights(path: Path, blobs: dict[str, list[Array]]) -> None:
    from amct_caffe.model.formats.caffemodel import writer

    types = {"conv1": "Convolution", "conv2": "Convolution", "ip": "InnerProduct"}
    with path.open("wb") as stream:
        writer.write(stream, "small", [(name, types[name], blobs[name]) for name in types])


def classes(images: Array, blobs: dict[str, list[Array]]) -> Array:
    """Return the class of each image, computed plainly in float64."""
    x = images.astype(np.float64)
    for name in ("conv1", "conv2"):
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
        weights, bias = blobs[name]
        x = np.einsum("nchwij,ocij->nohw", windows, weights) + bias[None, :, None, None]
        x = np.maximum(x, 0)
    weights, bias = blobs["ip"]
    found: Array = (x.reshape(len(x), -1) @ weights.T + bias).argmax(1)
    return found


def options(files: dict[str, str], folder: Path, **others: Any) -> AutoOptions:
    return AutoOptions(folder=str(folder), calibration_images=20, **{**files, **others})


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files that say nothing of time."""
    return {
        each.name: each.read_bytes()
        for each in sorted(folder.iterdir())
        if each.name != "auto_journal.json"
    }


def test_the_saved_model_has_the_accuracy_that_is_reported(files, tmp_path: Path) -> None:
    result = quantize_automatically(options(files, tmp_path / "o", max_drop=5.0))
    report = json.loads((tmp_path / "o/auto_report.json").read_text())
    assert result.report == report
    assert report["met"]
    assert report["float32"] == 100.0
    assert (report["calibration_samples"], report["evaluation_samples"]) == (20, 200)
    # 6x6 and 4x4 positions of 8 channels, and 4 sums over 128 values.
    assert report["macs"] == 36 * 8 * 27 + 16 * 8 * 72 + 4 * 128
    with np.load(files["data"]) as data:
        images, labels = data["data"][20:], data["label"][20:]
    outputs = Simulator(*deploy_files(str(tmp_path / "o/model"))).run({"data": images})["ip"]
    accuracy = 100 * float((outputs.argmax(1) == labels).mean())
    assert report["candidates"][report["chosen"]]["accuracy"] == pytest.approx(accuracy)


@pytest.mark.parametrize(
    ("recipe", "name"),
    [
        (Recipe("mse", equalized=True), "mse+equalization"),
        (Recipe("best", bias_corrected=True), "best+bias correction"),
        (
            Recipe("mse", equalized=True, bias_corrected=True),
            "mse+equalization+bias correction",
        ),
        (
            Recipe("mse", bias_corrected=True, weight_rounding="adaround"),
            "mse+adaround+bias correction",
        ),
    ],
)
def test_an_improved_network_is_saved_as_it_was_judged(
    files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: Recipe, name: str
) -> None:
    monkeypatch.setattr(run, "RECIPES", (recipe,))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metric_that_keeps.py").write_text(
        "kept = []\ndef score(outputs, labels):\n    kept.append(outputs['ip'])\n    return 1.0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    given = options(files, tmp_path / "o", metric="metric_that_keeps:score")
    report = quantize_automatically(given).report
    assert report["candidates"][report["chosen"]]["recipe"] == name
    judged = sys.modules["metric_that_keeps"].kept[-1]
    with np.load(files["data"]) as data:
        images = data["data"][20:]
    saved = Simulator(*deploy_files(str(tmp_path / "o/model"))).run({"data": images})["ip"]
    np.testing.assert_array_equal(saved, judged)


def test_bias_correction_and_best_come_before_any_fallback() -> None:
    assert Recipe("best") in run.RECIPES
    assert any(recipe.bias_corrected for recipe in run.RECIPES)


def test_a_layer_in_float_has_its_own_bias_again(
    files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "RECIPES", (Recipe("mse", bias_corrected=True),))
    quantize_automatically(options(files, tmp_path / "o", max_drop=-1.0))
    report = json.loads((tmp_path / "o/auto_report.json").read_text())
    in_float = next(each["float_layers"] for each in report["candidates"] if each["float_layers"])
    searched = run._searched(options(files, tmp_path / "o"))
    candidate = Candidate(Recipe("mse", bias_corrected=True), tuple(in_float))
    model, whole = searched.model(candidate), searched.model(Candidate(candidate.recipe))
    for node in searched.network.graph.nodes:
        now, all_int8 = model.layer(node.name), whole.layer(node.name)
        if node.name in in_float:
            assert now is None
            np.testing.assert_array_equal(model.graph.node(node.name).weights[1], node.weights[1])
        elif all_int8 is not None:
            np.testing.assert_array_equal(now.bias, all_int8.bias)
            assert not np.array_equal(model.graph.node(node.name).weights[1], node.weights[1])


def test_sensitivities_are_the_errors_of_whole_networks(files, tmp_path: Path) -> None:
    recipe = Recipe("mse", equalized=True, bias_corrected=True)
    searched = run._searched(options(files, tmp_path / "o", batch_size=7))
    found = searched.sensitivities(recipe, 16)
    few = searched.calibration.part(0, 16)
    reference = searched._outputs(searched.graph(recipe), few)["ip"].astype(np.float64)
    assert set(found) == set(SHAPES)
    for name, share in found.items():
        others = tuple(each for each in SHAPES if each != name)
        outputs = searched._outputs(searched.model(Candidate(recipe, others)), few)["ip"]
        expected = np.square(outputs - reference).sum() / np.square(reference).sum()
        assert share == pytest.approx(expected, rel=1e-12)
        assert share > 0


def test_a_target_that_is_not_met_is_said_and_the_best_is_saved(files, tmp_path: Path) -> None:
    report = quantize_automatically(options(files, tmp_path / "o", max_drop=-1.0)).report
    assert not report["met"]
    drops = [each["drop"] for each in report["candidates"]]
    assert drops[report["chosen"]] == min(drops)
    assert any(each["float_layers"] for each in report["candidates"])
    assert all(each["standard_error"] is not None for each in report["candidates"])
    assert (tmp_path / "o/model_deploy_model.prototxt").exists()


def test_killed_at_any_candidate_it_ends_with_the_same_files(
    files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = quantize_automatically(options(files, tmp_path / "whole", max_drop=-1.0))
    expected = contents(tmp_path / "whole")
    scores = SearchedNetwork.scores
    for lives in range(len(whole.report["candidates"])):
        folder, left = tmp_path / str(lives), [lives]

        def dying(self, candidate, left=left):
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return scores(self, candidate)

        with monkeypatch.context() as patch:
            patch.setattr(SearchedNetwork, "scores", dying)
            with pytest.raises(KeyboardInterrupt):
                quantize_automatically(options(files, folder, max_drop=-1.0))
        quantize_automatically(options(files, folder, max_drop=-1.0))
        assert contents(folder) == expected


DYING_IN_A_WRITE = """
import os, signal, sys
from amct_core.files import FileSet
from cpu_sim_backend.ptq.auto import AutoOptions, quantize_automatically

writes = 0

def dying(self):
    global writes
    writes += 1
    if writes == int(sys.argv[5]):
        os.kill(os.getpid(), signal.SIGKILL)
    commit(self)

commit, FileSet._commit = FileSet._commit, dying
quantize_automatically(
    AutoOptions(*sys.argv[1:5], max_drop=-1.0, calibration_images=20, engine="reference")
)
"""


@pytest.mark.parametrize("write", [1, 3, -1])
def test_killed_while_it_writes_it_ends_with_the_same_files(
    files, tmp_path: Path, write: int
) -> None:
    def run(folder: Path, dying_write: int) -> int:
        given = [files["model_file"], files["weights_file"], str(folder), files["data"]]
        command = [sys.executable, "-c", DYING_IN_A_WRITE, *given, str(dying_write)]
        return subprocess.run(command, stderr=subprocess.DEVNULL, cwd=tmp_path).returncode

    assert run(tmp_path / "whole", 0) == 0
    # One write for the first configuration, one for each result, the last is that of the models.
    results = json.loads((tmp_path / "whole/auto_journal.json").read_text())["results"]
    number = write if write > 0 else 1 + len(results) + 3
    assert run(tmp_path / "o", number) == -signal.SIGKILL
    assert any(each.name.startswith(".") for each in (tmp_path / "o").iterdir())
    assert run(tmp_path / "o", 0) == 0
    assert contents(tmp_path / "o") == contents(tmp_path / "whole")


def test_registered_sensitivities_and_strategies_can_be_chosen(files, tmp_path: Path) -> None:
    chosen = {"sensitivity": "CosineSimilarity", "strategy": "BinarySearch"}
    folder = tmp_path / "o"
    report = quantize_automatically(options(files, folder, max_drop=-1.0, **chosen)).report
    assert any(each["float_layers"] for each in report["candidates"])
    results = json.loads((folder / "auto_journal.json").read_text())["results"]
    (ranking,) = (each for each in results if each["what"].startswith("sensitivity"))
    assert ranking["what"].startswith("sensitivity CosineSimilarity: ")
    # A cosine of nearly 1 is a score of nearly 1; larger is worse here.
    assert set(ranking["value"]) == set(SHAPES)
    assert all(-1 <= score < -0.99 for score in ranking["value"].values())
    other = {"sensitivity": "CosineSimilarity", "strategy": "nothing"}
    with pytest.raises(PluginError, match="nothing"):
        quantize_automatically(options(files, tmp_path / "p", **other))
    assert not (tmp_path / "p").exists()


def test_other_data_make_the_journal_begin_anew(files, tmp_path: Path) -> None:
    quantize_automatically(options(files, tmp_path / "o", max_drop=100.0))
    with np.load(files["data"]) as data:
        mostly_wrong = (data["label"] + (np.arange(220) < 150)) % 4
        np.savez(files["data"], data=data["data"], label=mostly_wrong)
    report = quantize_automatically(options(files, tmp_path / "o", max_drop=100.0)).report
    assert report["float32"] < 50


def test_a_metric_of_the_user_judges(
    files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_metric.py").write_text(
        "def right(outputs, labels):\n    return (outputs['ip'].argmax(1) == labels).mean()\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    given = options(files, tmp_path / "o", max_drop=5.0, metric="own_metric:right")
    report = quantize_automatically(given).report
    assert report["float32"] == 100.0
    assert report["candidates"][0]["standard_error"] is None


def test_labels_of_a_list_file_and_samples_of_another_file(files, tmp_path: Path) -> None:
    with np.load(files["data"]) as data:
        images, labels = data["data"], data["label"]
    np.savez(files["data"], data=images[:20])
    np.savez(tmp_path / "judged.npz", data=images[20:])
    text = "".join(f"{index}.jpg {label}\n" for index, label in enumerate(labels[20:]))
    (tmp_path / "list.txt").write_text(text)
    given = options(
        files,
        tmp_path / "o",
        max_drop=100.0,
        evaluation_data=str(tmp_path / "judged.npz"),
        labels=str(tmp_path / "list.txt"),
    )
    report = quantize_automatically(given).report
    assert (report["float32"], report["evaluation_samples"]) == (100.0, 200)


@pytest.mark.parametrize(
    ("labels", "error", "words"),
    [
        (np.zeros(3, np.int64), FileFormatError, "3 labels for 220 samples"),
        (np.full(220, 4), ConfigError, r"label 4 of sample 0 is outside 0\.\.3"),
        (np.full(220, 0.5), FileFormatError, "one class index per sample"),
        (np.zeros((220, 2), np.int64), FileFormatError, "one class index per sample"),
        (None, ConfigError, "there are no labels"),
    ],
)
def test_labels_that_do_not_fit_are_told(files, tmp_path: Path, labels, error, words) -> None:
    with np.load(files["data"]) as data:
        images = data["data"]
    extra = {} if labels is None else {"label": labels}
    np.savez(files["data"], data=images, **extra)
    with pytest.raises(error, match=words):
        quantize_automatically(options(files, tmp_path / "o"))


@pytest.mark.parametrize(
    "lines", ["6\n0\n", "6.0\n0.0\n", "6.000e+00\n0.000e+00\n", "\ufeff6\n0\n"]
)
def test_labels_may_be_written_as_numpy_and_windows_editors_write_them(
    lines: str, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text(lines, encoding="utf-8")
    assert read_labels(str(tmp_path / "list.txt")).tolist() == [6, 0]


@pytest.mark.parametrize("word", ["6.5", "nan", "inf"])
def test_a_label_that_is_no_whole_number_is_told(word: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"1\n{word}\n")
    with pytest.raises(FileFormatError, match=f"line 2 is '{word}'"):
        read_labels(str(tmp_path / "list.txt"))


def test_a_line_of_a_list_without_a_number_is_told(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.jpg 1\nb.jpg cat\n")
    with pytest.raises(FileFormatError, match=r"line 2 is 'b\.jpg cat'"):
        read_labels(str(tmp_path / "list.txt"))


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("nothing", "expected module:function"),
        ("no_such_module:f", "cannot be imported"),
        ("math:pi", "no function"),
    ],
)
def test_a_metric_that_is_no_function_is_told(files, tmp_path: Path, metric, words) -> None:
    with pytest.raises(ConfigError, match=words):
        quantize_automatically(options(files, tmp_path / "o", metric=metric))


def test_what_a_metric_raises_is_told_as_the_users(
    files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "metric_that_fails.py").write_text(
        "def score(outputs, labels):\n    return outputs['no_such_blob']\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    words = r"'metric_that_fails:score' raised KeyError: 'no_such_blob' .*fails\.py', line 2"
    with pytest.raises(ConfigError, match=words):
        quantize_automatically(options(files, tmp_path / "o", metric="metric_that_fails:score"))


def test_scores_that_are_nan_are_not_judged_right(files) -> None:
    model = files["model_file"]
    graph = frontend_for(model, registries()).read(model, files["weights_file"]).test
    scores = np.zeros((2, 4), np.float32)
    scores[1, 2] = np.nan
    with pytest.raises(QuantizationError, match="holds NaN for sample 1"):
        scoring_for(graph, None, None).score({"ip": scores}, np.asarray([0, 2]))


def test_a_cut_off_file_is_told(files, tmp_path: Path) -> None:
    whole = Path(files["data"]).read_bytes()
    Path(files["data"]).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match=r"cannot be read as an \.npz file"):
        quantize_automatically(options(files, tmp_path / "o"))


@pytest.mark.parametrize("found", [None, "good", [1.0, 2.0], float("nan"), np.zeros((3, 1))])
def test_what_is_no_score_is_told(found) -> None:
    with pytest.raises(ConfigError, match="for each of 3 samples"):
        checked_scores(found, 3)


def test_labels_may_have_the_axes_that_caffe_gives_them() -> None:
    assert checked_labels(np.ones((2, 1, 1, 1), np.float32), "d.npz").tolist() == [1, 1]


def test_too_few_samples_are_told(files, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the first 500 calibrate"):
        quantize_automatically(
            AutoOptions(folder=str(tmp_path / "o"), calibration_images=500, **files)
        )


@pytest.mark.caffe
@pytest.mark.parametrize("top_k", [1, 2])
def test_a_sample_is_right_where_it_is_to_caffe(tmp_path: Path, top_k: int) -> None:
    caffe = pytest.importorskip("caffe")
    generator = np.random.default_rng(5)
    scores = generator.integers(0, 3, (200, 4)).astype(np.float32)  # many are equal
    labels = generator.integers(0, 4, 200)
    model = tmp_path / "accuracy.prototxt"
    model.write_text(f"""
layer {{ name: "s" type: "Input" top: "s" input_param {{ shape {{ dim: 1 dim: 4 }} }} }}
layer {{ name: "label" type: "Input" top: "label" input_param {{ shape {{ dim: 1 }} }} }}
layer {{ name: "a" type: "Accuracy" bottom: "s" bottom: "label" top: "a"
  accuracy_param {{ top_k: {top_k} }} }}
""")
    net = caffe.Net(str(model), caffe.TEST)
    expected = [
        float(net.forward(s=row[None], label=np.asarray([label]))["a"])
        for row, label in zip(scores, labels)
    ]
    graph = frontend_for(str(model), registries()).read(str(model)).test
    scoring = scoring_for(graph, None, None)
    np.testing.assert_array_equal(scoring.score({"s": scores}, labels), expected)


def test_the_command_says_each_candidate_and_exits_by_the_target(files, tmp_path: Path) -> None:
    given = [files["model_file"], files["weights_file"], "--data", files["data"]]
    given += ["--calibration-images", "20", "-o", str(tmp_path / "o")]
    done = CliRunner().invoke(command, [*given, "--max-drop", "100"])
    assert done.exit_code == 0, done.output
    assert "MACs in float   0.0 %  ifmr, all layers int8" in done.output
    assert "The target of at most 100 points is met" in done.output
    given += ["--metric", "metric_for_test:falling", "--json"]
    (tmp_path / "metric_for_test.py").write_text(
        "calls = []\n"
        "def falling(outputs, labels):\n    calls.append(1)\n    return 1 / len(calls)\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        done = CliRunner().invoke(command, [*given, "--max-drop", "0"])
    assert done.exit_code == 1, done.output
    assert not json.loads(done.stdout[done.stdout.index("{") :])["met"]
