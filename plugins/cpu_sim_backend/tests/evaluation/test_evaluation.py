"""``amct evaluate`` where Caffe need not run, and what it refuses."""

from __future__ import annotations

import importlib.util
import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from amct_core.cli.main import cli
from amct_core.errors import AmctError, FileFormatError, ModelError
from amct_core.file_names import deploy_files, name_map_file
from cpu_sim_backend import Simulator
from cpu_sim_backend.data.choice import DataOptions
from cpu_sim_backend.evaluation import EvaluationOptions, evaluate
from cpu_sim_backend.evaluation.labels import Labels
from cpu_sim_backend.evaluation.tally import LabelTally, OutputTally, default_top_k
from cpu_sim_backend.scoring.labels import labels_of_files
from cpu_sim_backend.scoring.metrics import metric_value
from plugins.cpu_sim_backend.tests.integers.corrupting import Saved, quantized, save

SAMPLES, CLASSES = 7, 5


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saved:
    """Return a saved network with labels beside its data; the working folder is its own."""
    found = save(tmp_path)
    generator = np.random.default_rng(1)
    np.savez(
        found.data,
        data=generator.normal(0, 1, (SAMPLES, 3, 6, 6)).astype(np.float32),
        label=generator.integers(0, CLASSES, SAMPLES),
    )
    monkeypatch.chdir(tmp_path)
    return found


@pytest.fixture
def no_caffe(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, package=None: None if name == "caffe" else find_spec(name, package),
    )


def run(*arguments: str) -> Result:
    # Whether kernels are compiled, which the log tells, is no part of what is printed.
    logging.disable(logging.INFO)
    try:
        return CliRunner().invoke(cli, ["evaluate", *arguments])
    finally:
        logging.disable(logging.NOTSET)


def options(saved: Saved, **others: Any) -> EvaluationOptions:
    return EvaluationOptions(DataOptions(saved.data), **others)


def integers(saved: Saved) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of the deployable model, and the labels."""
    with np.load(saved.data) as arrays:
        return Simulator(*deploy_files(saved.prefix)).run({"data": arrays["data"]})["prob"], arrays[
            "label"
        ]


@pytest.mark.usefixtures("no_caffe")
def test_without_caffe_float32_is_simulated_and_the_rest_is_left_out(saved: Saved) -> None:
    retrained = ("modified.prototxt", "snapshot.caffemodel")
    done = run(saved.prefix, "--data", saved.data, "--retrained", *retrained, "--batch-size", "3")
    assert done.exit_code == 0, done.output
    assert "n.prototxt with n.caffemodel, simulated" in done.output
    for name in ("retrained", "fake-quant"):
        assert f"{name} is left out: Caffe is not installed here." in done.output


@pytest.mark.usefixtures("no_caffe")
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_numbers_are_those_of_the_whole_data_set(saved: Saved, batch_size: int) -> None:
    found = evaluate(saved.prefix, options(saved, batch_size=batch_size, top_k=(2,)))
    scores, labels = integers(saved)
    above = (scores >= scores[np.arange(SAMPLES), labels][:, None]).sum(1)
    column = found.column("integer")
    assert (found.samples, found.judged, found.scores) == (SAMPLES, SAMPLES, "prob")
    assert column.right == ((2, int((above <= 2).sum())),)
    (output,) = column.outputs
    assert 0 < output.snr < math.inf and output.places == SAMPLES


def test_simulated_and_in_caffe_float32_is_the_same(saved: Saved, request: Any) -> None:
    pytest.importorskip("caffe")
    in_caffe = evaluate(saved.prefix, options(saved))
    request.getfixturevalue("no_caffe")
    simulated = evaluate(saved.prefix, options(saved))
    assert [column.name for column in in_caffe.columns] == ["float32", "fake-quant", "integer"]
    assert in_caffe.column("float32").right == simulated.column("float32").right
    found, expected = (each.column("integer").outputs[0].snr for each in (in_caffe, simulated))
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.usefixtures("no_caffe")
def test_without_labels_decisions_and_outputs_are_compared(saved: Saved) -> None:
    with np.load(saved.data) as arrays:
        np.savez(saved.data, data=arrays["data"])
    found = json.loads(run(saved.prefix, "--data", saved.data, "--json").output)
    assert (found["labels"], found["judged"]) == (None, 0)
    float32, integer = found["columns"]
    assert (float32["top_k"], integer["top_k"]) == ({}, {})
    assert float32["outputs"][0]["identical"] is True and float32["outputs"][0]["snr"] is None
    assert integer["outputs"][0]["places"] == SAMPLES


@pytest.mark.usefixtures("no_caffe")
def test_a_processor_has_a_column_of_its_own(saved: Saved) -> None:
    found = evaluate(saved.prefix, options(saved, soc_version="Ascend310P3"))
    assert [column.name for column in found.columns] == ["float32", "integer", "Ascend310P3"]


@pytest.mark.usefixtures("no_caffe")
def test_any_blob_of_scores_may_be_judged(saved: Saved) -> None:
    found = evaluate(saved.prefix, options(saved, scores="three"))
    assert [output.blob for output in found.column("integer").outputs] == ["prob", "three"]
    assert found.column("integer").right == evaluate(saved.prefix, options(saved)).columns[1].right


@pytest.mark.usefixtures("no_caffe")
def test_post_training_quantization_tells_the_float_model_too(saved: Saved) -> None:
    options = ("--data", saved.data, "--engine", "simulator", "-o", "p")
    done = CliRunner().invoke(cli, ["ptq", "run", "n.prototxt", "n.caffemodel", *options])
    assert done.exit_code == 0, done.output
    found = run("p/result/model", "--data", saved.data)
    assert found.exit_code == 0, found.output
    assert "n.prototxt with n.caffemodel, simulated" in found.output


@pytest.mark.parametrize("caffe", [True, False])
def test_data_of_another_shape_are_refused_before_anything_runs(
    saved: Saved, request: Any, caffe: bool
) -> None:
    if caffe:
        pytest.importorskip("caffe")
    else:
        request.getfixturevalue("no_caffe")
    np.savez(saved.data, data=np.zeros((SAMPLES, 6, 6, 3), np.float32))
    expected = (
        r"'data' is float32 of shape \(7, 6, 6, 3\); expected numbers of shape \(N, 3, 6, 6\)"
    )
    with pytest.raises(ModelError, match=expected):
        evaluate(saved.prefix, options(saved))


METRICS = """
def per_sample(outputs, labels):
    return outputs["prob"].argmax(axis=1) == labels

def word(outputs, labels):
    return "good"

def fails(outputs, labels):
    return 1 / 0
"""


@pytest.mark.usefixtures("no_caffe")
def test_a_metric_of_the_users_may_be_any_function(saved: Saved) -> None:
    Path("mine.py").write_text(METRICS)
    found = evaluate(saved.prefix, options(saved, metrics=("mine:per_sample",), batch_size=2))
    scores, labels = integers(saved)
    share = float((scores.argmax(1) == labels).mean())
    assert found.column("integer").metrics == (("mine:per_sample", share),)


@pytest.mark.usefixtures("no_caffe")
@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("mine:word", r"'mine:word' gave 'good'; expected one finite number.*column float32"),
        ("mine:fails", r"'mine:fails' raised ZeroDivisionError"),
        ("mine:none", r"'mine:none' cannot be imported"),
    ],
)
def test_a_metric_that_cannot_be_used_is_an_error(
    saved: Saved, monkeypatch: pytest.MonkeyPatch, metric: str, message: str
) -> None:
    monkeypatch.syspath_prepend(".")
    Path("mine.py").write_text(METRICS)
    with pytest.raises(AmctError, match=message):
        evaluate(saved.prefix, options(saved, metrics=(metric,)))


@pytest.mark.usefixtures("no_caffe")
def test_a_set_that_does_not_tell_its_float_model_asks_for_it(saved: Saved) -> None:
    names = Path(name_map_file(saved.prefix))
    content = json.loads(names.read_text())
    del content["digests"]["float"]
    names.write_text(json.dumps(content))
    refused = run(saved.prefix, "--data", saved.data)
    assert refused.exit_code == 1
    assert "Give the float32 model with --float MODEL WEIGHTS." in refused.output
    given = run(saved.prefix, "--data", saved.data, "--float", "n.prototxt", "n.caffemodel")
    assert given.exit_code == 0, given.output


MODIFIED = "a modified model, with fake quantization to train"


@pytest.mark.usefixtures("no_caffe")
@pytest.mark.parametrize(
    ("model", "weights", "kind"),
    [
        ("modified.prototxt", "snapshot.caffemodel", f"it is a layer of {MODIFIED}"),
        ("modified.prototxt", "n.caffemodel", f"it is a layer of {MODIFIED}"),
        (
            "saved_fake_quant_model.prototxt",
            "saved_fake_quant_weights.caffemodel",
            "it is a layer of a fake-quant model",
        ),
        (
            "saved_deploy_model.prototxt",
            "saved_deploy_weights.caffemodel",
            "it is a layer of a deployable model",
        ),
        ("n.prototxt", "snapshot.caffemodel", "the weights file has a layer that only"),
    ],
)
def test_a_quantized_model_is_no_float32(saved: Saved, model: str, weights: str, kind: str) -> None:
    refused = run(saved.prefix, "--data", saved.data, "--float", model, weights)
    assert refused.exit_code == 1
    assert kind in refused.output and "expected" in refused.output
    assert (weights if model == "n.prototxt" else model) in refused.output
    assert "Give the float32 model and its weights with --float" in refused.output
    assert "a column of their own with --retrained" in refused.output


@pytest.mark.parametrize("in_caffe", [True, False])
def test_a_float_model_of_other_inputs_is_named(
    saved: Saved, request: pytest.FixtureRequest, in_caffe: bool
) -> None:
    if in_caffe:
        pytest.importorskip("caffe")
    else:
        request.getfixturevalue("no_caffe")
    text = Path("n.prototxt").read_text().replace('"data"', '"image"')
    Path("other.prototxt").write_text(text)
    given = ("--float", "other.prototxt", "n.caffemodel")
    refused = run(saved.prefix, "--data", saved.data, *given)
    assert refused.exit_code == 1
    assert "other.prototxt: it reads the inputs 'image'" in refused.output
    assert "that reads 'data'" in refused.output
    assert "With --float, give the network" in refused.output


def test_weights_that_are_no_snapshot_are_named_not_the_solver(saved: Saved) -> None:
    pytest.importorskip("caffe")
    given = ("--retrained", "modified.prototxt", "n.caffemodel")
    refused = run(saved.prefix, "--data", saved.data, *given)
    assert refused.exit_code == 1
    assert "n.caffemodel, layer" in refused.output
    assert "the weights file has 0 blobs for it; expected 3" in refused.output
    assert "test_initialization" not in refused.output


@pytest.fixture
def two_outputs(saved: Saved) -> Saved:
    """Return the saved network with a second output; its labels are those of ``saved``."""
    network = Path("n.prototxt")
    second = 'layer { name: "tanh" type: "TanH" bottom: "three" top: "tanh" }'
    network.write_text(f"{network.read_text()}{second}\n")
    with np.load(saved.data) as arrays:
        return quantized(Path(), **arrays)


@pytest.mark.usefixtures("no_caffe")
def test_why_labels_are_compared_with_nothing_is_said(two_outputs: Saved) -> None:
    why = "2 outputs (prob, tanh); name one with --scores"
    data = ("--data", two_outputs.data)
    text, found = run(two_outputs.prefix, *data), run(two_outputs.prefix, *data, "--json")
    assert text.exit_code == 0, text.output
    assert f"no top-1: {why}." in text.output.splitlines()
    assert json.loads(found.output)["not_judged"] == why
    named = run(two_outputs.prefix, *data, "--scores", "prob")
    assert "no top-1" not in named.output and "top-1" in named.output


@pytest.mark.usefixtures("no_caffe")
def test_where_nothing_is_to_be_judged_nothing_is_said_about_it(two_outputs: Saved) -> None:
    Path("mine.py").write_text(METRICS)
    by_metric = evaluate(two_outputs.prefix, options(two_outputs, metrics=("mine:per_sample",)))
    with np.load(two_outputs.data) as arrays:
        np.savez(two_outputs.data, data=arrays["data"])
    without_labels = evaluate(two_outputs.prefix, options(two_outputs))
    assert (by_metric.not_judged, without_labels.not_judged) == (None, None)


@pytest.mark.usefixtures("no_caffe")
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("1\n2\n", "there are 2 labels in 'l.txt' for 7 samples"),
        ("1\n" * 6 + "5\n", "label 5 of sample 6 is outside 0..4, the classes of blob 'prob"),
        ("1\n" * 6 + "cat\n", "line 7 is 'cat'; expected a class index at its end"),
    ],
)
def test_labels_that_do_not_fit_are_an_error(saved: Saved, labels: str, message: str) -> None:
    Path("l.txt").write_text(labels)
    refused = run(saved.prefix, "--data", saved.data, "--labels", "l.txt")
    assert refused.exit_code == 1
    assert message in refused.output


FILES = ("a b.png", "sub/c.png")


@pytest.mark.parametrize(
    "text", ["3\n4\n", "sub/c.png 4\na b.png 3\n", "./a b.png 3\nsub/c.png 4\nother.png 9\n"]
)
def test_a_list_names_images_or_keeps_their_order(tmp_path: Path, text: str) -> None:
    (tmp_path / "l.txt").write_text(text)
    assert labels_of_files(str(tmp_path / "l.txt"), FILES, "images").tolist() == [3, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3\n", "there are 1 labels for the 2 images of 'images'"),
        ("a b.png 3\n", r"no label for 1 of the 2 images of 'images', such as 'sub/c.png'"),
        ("a b.png 3\na b.png 4\nsub/c.png 1\n", "image 'a b.png' has the labels 3 and 4"),
    ],
)
def test_a_list_that_does_not_cover_the_images_is_an_error(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "l.txt").write_text(text)
    with pytest.raises(FileFormatError, match=message):
        labels_of_files(str(tmp_path / "l.txt"), FILES, "images")


def test_a_label_that_accuracy_ignores_does_not_count() -> None:
    labels = Labels("blob 'label'", np.array([0, 255, 1]), ignored=255)
    counts = labels.counts(labels.of({}, 0, 3))
    tally = LabelTally("integer", "prob", ())
    tally.add(np.array([[2.0, 1], [2, 1], [2, 1]]), labels.of({}, 0, 3), counts, 0)
    assert counts.tolist() == [True, False, True]
    assert tally.right == ((1, 1),)


def test_a_score_equal_to_that_of_the_label_counts_as_larger() -> None:
    tally = LabelTally("integer", "prob", (1, 2))
    tally.add(np.array([[1.0, 1, 0]]), np.array([0]), np.array([True]), 0)
    assert tally.right == ((1, 0), (2, 1))


def test_top_5_needs_5_classes() -> None:
    assert (default_top_k(4), default_top_k(5)) == ((1,), (1, 5))


def test_the_ratio_of_signal_to_noise_is_that_of_all_batches() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(0, 1, (6, 4)).astype(np.float32)
    y = x + generator.normal(0, 0.1, (6, 4)).astype(np.float32)
    tally = OutputTally("y")
    tally.add(x[:4], y[:4])
    tally.add(x[4:], y[4:])
    wide, difference = x.astype(np.float64), x.astype(np.float64) - y
    expected = 10 * math.log10((wide**2).sum() / (difference**2).sum())
    assert tally.result().snr == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("expected", "found", "snr"),
    [
        ([[1.0, 2]], [[1.0, 2]], math.inf),
        ([[0.0, 0]], [[0.0, 0]], math.inf),
        ([[0.0, 0]], [[0.0, 1]], math.nan),
        ([[math.inf, 0]], [[math.inf, 1]], math.nan),
        ([[1.0, 2]], [[1.0, 2], [3, 4]], math.nan),
    ],
)
def test_where_nothing_differs_or_nothing_can_be_said(
    expected: Any, found: Any, snr: float
) -> None:
    tally = OutputTally("y")
    tally.add(np.array(expected), np.array(found))
    result = tally.result()
    assert result.snr == snr or (math.isnan(snr) and math.isnan(result.snr))


def test_the_mean_of_a_metrics_numbers_counts() -> None:
    assert metric_value("m:f", 7, 3) == 7.0
    assert metric_value("m:f", np.array([1, 2, 6]), 3) == 3.0
