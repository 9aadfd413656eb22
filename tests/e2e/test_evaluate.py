"""``amct evaluate`` says what loops over pycaffe say that a user would write by hand."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digits import DigitsModel, run_python

pytestmark = pytest.mark.caffe

PREFIX = "q/result/model"
RETRAINED = ("q/modified_model.prototxt", "q/snapshot_iter_20.caffemodel")
SAMPLES, BATCH = 500, 100

LOOP = """
import sys
import caffe, numpy as np

model, weights, output = sys.argv[1:]
with open("by_hand.prototxt", "w") as file:
    file.write(open(model).read())
    file.write('layer { name: "hand" type: "Softmax" bottom: "ip2" top: "prob" }')
net = caffe.Net("by_hand.prototxt", caffe.TEST, weights=weights)
found = {"ip2": [], "prob": [], "label": [], "accuracy": []}
for _ in range(5):
    net.forward()
    for blob, values in found.items():
        values.append(np.array(net.blobs[blob].data))
np.savez(output, **{b: np.stack(v) if b == "accuracy" else np.concatenate(v)
                    for b, v in found.items()})
"""
"""Runs the network's own data layer for five batches of 100."""

NETS = {
    "float32": ("digits.prototxt", "float_iter_150.caffemodel"),
    "retrained": RETRAINED,
    "fake-quant": (
        f"{PREFIX}_fake_quant_model.prototxt",
        f"{PREFIX}_fake_quant_weights.caffemodel",
    ),
}
METRIC = """
import numpy as np

def confidence(outputs, labels):
    return outputs["prob"].max(axis=1)

def root_of_mean(outputs, labels):
    own = outputs["prob"][np.arange(len(labels)), labels]
    return np.sqrt(np.mean(own, dtype=np.float64))
"""


def amct(digits: DigitsModel, *arguments: str, check: bool = True) -> Any:
    return run_python(digits.folder, "-m", "amct_core", *arguments, check=check)


def evaluated(digits: DigitsModel, *arguments: str) -> dict[str, Any]:
    found = json.loads(amct(digits, "evaluate", PREFIX, "--json", *arguments).stdout)
    return {**found, "columns": {column["name"]: column for column in found["columns"]}}


@pytest.fixture(scope="module")
def quantized(trained_digits: DigitsModel, tmp_path_factory: pytest.TempPathFactory) -> DigitsModel:
    """Return the network with what ``amct qat run`` has made of it below ``q``."""
    from amct_caffe.demo import network

    folder = tmp_path_factory.mktemp("evaluate") / "work"
    shutil.copytree(trained_digits.folder, folder)
    digits = DigitsModel(folder)
    solver = network.solver_prototxt("anything.prototxt", "elsewhere", 20, 0.0002)
    (folder / "solver.prototxt").write_text(solver)
    (folder / "metric.py").write_text(METRIC)
    options = ("--solver", "solver.prototxt", "-o", "q")
    amct(digits, "qat", "run", digits.model, digits.weights, *options)
    return digits


@pytest.fixture(scope="module")
def by_hand(quantized: DigitsModel) -> dict[str, dict[str, np.ndarray]]:
    """Return what each net gives for the test images, by a loop over pycaffe."""
    found = {}
    record = (quantized.folder / "q/record.txt").read_bytes()
    for name, files in NETS.items():
        run_python(quantized.folder, "-c", LOOP, *files, "hand.npz")
        with np.load(quantized.folder / "hand.npz") as arrays:
            found[name] = dict(arrays)
    (quantized.folder / "q/record.txt").write_bytes(record)  # a TEST pass searches N again
    return found


@pytest.fixture(scope="module")
def report(quantized: DigitsModel, by_hand: Any) -> dict[str, Any]:
    options = ("--data-layer", "--iterations", "5", "--retrained", *RETRAINED)
    return evaluated(quantized, *options, "--top-k", "1", "--top-k", "3")


def right(arrays: dict[str, np.ndarray], k: int) -> int:
    """Return for how many samples fewer than ``k`` other classes have as large a score."""
    count = 0
    for scores, label in zip(arrays["ip2"], arrays["label"].astype(int)):
        others = np.delete(scores, label)
        count += int(np.count_nonzero(others >= scores[label]) < k)
    return count


def snr(expected: np.ndarray, found: np.ndarray) -> float:
    noise = signal = 0.0
    for start in range(0, SAMPLES, BATCH):
        x, y = (each[start : start + BATCH].astype(np.float64) for each in (expected, found))
        signal, noise = signal + float((x**2).sum()), noise + float(((x - y) ** 2).sum())
    return 10 * math.log10(signal / noise)


@pytest.mark.parametrize("column", NETS)
def test_the_data_layers_give_what_a_loop_over_pycaffe_gives(
    report: dict[str, Any], by_hand: Any, column: str
) -> None:
    found, own = report["columns"][column], by_hand[column]
    assert (report["samples"], report["judged"], report["scores"]) == (SAMPLES, SAMPLES, "ip2")
    for k in (1, 3):
        assert found["top_k"][str(k)] == {"right": right(own, k), "share": right(own, k) / SAMPLES}
    # Caffe's own Accuracy layer counts alike, batch by batch, in float32.
    assert found["top_k"]["1"]["right"] == round(float(own["accuracy"].sum()) * BATCH)
    for output in found["outputs"]:
        expected, values = by_hand["float32"][output["blob"]], own[output["blob"]]
        same = int((expected.argmax(1) == values.argmax(1)).sum())
        assert (output["same_decisions"], output["places"]) == (same, SAMPLES)
        if column == "float32":
            assert (output["snr"], output["identical"]) == (None, True)
        else:
            assert output["snr"] == snr(expected, values)


def test_the_integers_are_as_good_as_fake_quant_and_training_is_not_the_same(
    report: dict[str, Any],
) -> None:
    columns = report["columns"]
    assert columns["integer"]["top_k"] == columns["fake-quant"]["top_k"]
    for integer, fake_quant in zip(columns["integer"]["outputs"], columns["fake-quant"]["outputs"]):
        assert integer["same_decisions"] == fake_quant["same_decisions"]
        # To the last bit, unless the C library's exponentials in Softmax are not those of Caffe.
        tolerance = 1e-6 if integer["blob"] == "prob" else 0
        assert integer["snr"] == pytest.approx(fake_quant["snr"], abs=tolerance, rel=0)
    assert columns["retrained"]["outputs"] != columns["fake-quant"]["outputs"]


def test_the_record_of_the_training_stays_as_it_is(quantized: DigitsModel, by_hand: Any) -> None:
    before = (quantized.folder / "q/record.txt").read_bytes()
    evaluated(quantized, "--data-layer", "--iterations", "5", "--retrained", *RETRAINED)
    assert (quantized.folder / "q/record.txt").read_bytes() == before


def test_a_file_gives_what_its_data_layer_gives(
    quantized: DigitsModel, report: dict[str, Any]
) -> None:
    found = evaluated(
        quantized, "--data", "test.npz", "--retrained", *RETRAINED, "--top-k", "3", "--top-k", "1"
    )
    assert found["labels"] == "'test.npz'"
    assert found["columns"] == report["columns"]


def test_a_folder_with_a_list_gives_what_a_file_gives(
    quantized: DigitsModel, report: dict[str, Any], by_hand: Any
) -> None:
    Image = pytest.importorskip("PIL.Image")
    with np.load(quantized.folder / "test.npz") as arrays:
        images, labels = arrays["data"], arrays["label"].astype(int)
    (quantized.folder / "images/of").mkdir(parents=True)
    lines = []
    for index, (image, label) in enumerate(zip(images, labels)):
        name = f"of/a digit {index:03}.png"
        Image.fromarray((image[0] * 16).astype(np.uint8)).save(quantized.folder / "images" / name)
        lines.append(f"{name} {label}")
    (quantized.folder / "list.txt").write_text("\n".join(reversed(lines)) + "\n")
    (quantized.folder / "in_order.txt").write_text("\n".join(map(str, labels)) + "\n")
    (quantized.folder / "pre.json").write_text(json.dumps({"channels": "GRAY", "scale": 0.0625}))
    options = ("--data", "images", "--preprocess", "pre.json", "--top-k", "1", "--top-k", "3")
    for file in ("list.txt", "in_order.txt"):
        found = evaluated(quantized, *options, "--labels", file)
        assert found["files"][0] == "of/a digit 000.png"
        for column in ("float32", "fake-quant", "integer"):
            assert found["columns"][column] == report["columns"][column]


def test_metrics_of_the_users_see_all_samples_at_once(quantized: DigitsModel, by_hand: Any) -> None:
    options = ("--metric", "metric:confidence", "--metric", "metric:root_of_mean")
    found = evaluated(quantized, "--data", "test.npz", *options)["columns"]
    for column in ("float32", "fake-quant"):
        prob, label = by_hand[column]["prob"], by_hand[column]["label"].astype(int)
        own = prob[np.arange(SAMPLES), label]
        assert found[column]["metrics"] == {
            "metric:confidence": float(prob.max(1).astype(np.float64).mean()),
            "metric:root_of_mean": float(np.sqrt(np.mean(own, dtype=np.float64))),
        }


def test_the_table_shows_a_line_for_each(quantized: DigitsModel) -> None:
    out = amct(
        quantized, "evaluate", PREFIX, "--data", "test.npz", "--soc-version", "Ascend310P3"
    ).stdout
    lines = out.splitlines()
    assert lines[0] == "500 samples; labels: 'test.npz', scores: 'ip2'"
    assert [word in lines[1] for word in ("top-1", "top-5", "decides as float32", "SNR of 'prob'")]
    names = [line.split()[0] for line in lines[2:6]]
    assert names == ["float32", "fake-quant", "integer", "Ascend310P3"]


def test_a_float_model_that_has_changed_is_named_and_may_be_given(
    quantized: DigitsModel, tmp_path: Path
) -> None:
    shutil.copytree(quantized.folder, tmp_path / "work")
    digits = DigitsModel(tmp_path / "work")
    shutil.move(str(digits.folder / digits.weights), str(digits.folder / "elsewhere.caffemodel"))
    refused = amct(digits, "evaluate", PREFIX, "--data", "test.npz", check=False)
    assert refused.returncode == 1
    assert f"{digits.weights}: there is no such file any more" in refused.stderr
    assert "--float MODEL WEIGHTS" in refused.stderr
    given = ("--float", digits.model, "elsewhere.caffemodel")
    found = evaluated(digits, "--data", "test.npz", *given)
    assert found["columns"]["float32"]["description"].endswith("elsewhere.caffemodel, in Caffe")
