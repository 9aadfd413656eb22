"""A distribution with a pass in each place, a lint rule, a metric and a section, end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from digits import DigitsModel, run_python
from third_party import install, write_distribution

PLUGIN = """
from amct_core.graph import Pass
from amct_core.textproto import Message

class Leaky(Pass):
    def run(self, state):
        for layer in state.document.layers:
            if layer.type == "ReLU":
                parameters = Message()
                parameters.set("negative_slope", 0.125)
                layer.message.set("relu_param", parameters)
        return state

class WithoutLastBias(Pass):
    def run(self, state):
        state.weights["ip2"][1] = state.weights["ip2"][1] * 0
        return state

@hookimpl
def amct_passes():
    yield NetworkPass("leaky", "caffe", "before insertion", Leaky)
    yield NetworkPass("without_last_bias", "caffe", "after training", WithoutLastBias)

def check(graph, soc_version):
    yield LintProblem("it has " + str(len(graph.nodes)) + " layers.", "conv1")

@hookimpl
def amct_lint_rules():
    return [LintRule("MINE1", "warning", "Layers are counted", "Live with it.", "None.", check)]

def score(outputs, labels):
    return (outputs["ip2"].argmax(axis=1) == labels).mean()

@hookimpl
def amct_evaluators():
    return [Evaluator("first", "labels found", score)]

def build(report, graph):
    rows = [(layer["name"], layer["type"]) for layer in report["layers"]]
    return SectionContent("All of them.", ("layer", "type"), rows)

@hookimpl
def amct_report_sections():
    return [ReportSection("mine", "Mine", build)]
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    install(write_distribution(tmp_path, "mine", PLUGIN), site)
    monkeypatch.setenv("PYTHONPATH", str(site))


def amct(model: DigitsModel, *arguments: str) -> str:
    return run_python(model.folder, "-m", "amct_core", *arguments).stdout


@pytest.mark.caffe
@pytest.mark.usefixtures("installed")
def test_what_they_change_holds_in_training_and_in_both_saved_models(digits: DigitsModel) -> None:
    from amct_caffe.demo import network

    folder = digits.folder
    with np.load(folder / "test.npz") as arrays:
        np.savez(folder / "x.npz", data=arrays["data"][:100], label=arrays["label"][:100])
    amct(digits, "qat", "config", digits.model, digits.weights, "-o", "config.json")
    insert = ("qat", "insert", digits.model, digits.weights, "-c", "config.json", "-o", "q")
    amct(digits, *insert)
    assert (folder / "q/modified_model.prototxt").read_text().count("negative_slope: 0.125") == 3
    solver = network.solver_prototxt("q/modified_model.prototxt", "q/qat", 20, 0.001)
    (folder / "solver.prototxt").write_text(solver)
    amct(digits, "qat", "train", "solver.prototxt", "--weights", "q/modified_model.caffemodel")
    save = ("qat", "save", "q/modified_model.prototxt", "q/qat_iter_20.caffemodel")
    amct(digits, *save, "--record", "q/record.txt", "--save-path", "r/m")

    for kind in ("deploy", "fake_quant"):
        text = (folder / f"r/m_{kind}_model.prototxt").read_text()
        assert text.count("negative_slope: 0.125") == 3
    report = json.loads(amct(digits, "verify", "r/m", "--data", "x.npz", "--json"))
    assert report["exact_integers"] is True and report["layers"]

    from cpu_sim_backend import Simulator

    simulator = Simulator.from_saved(str(folder / "r/m"))
    (last,) = (layer for layer in simulator.quantized_layers if layer.name == "ip2")
    assert last.bias is not None and not last.bias.any()

    findings = json.loads(amct(digits, "lint", "r/m", "--json"))["findings"]
    assert (findings[-1]["rule"], findings[-1]["layer"]) == ("MINE1", "conv1")
    told = json.loads(amct(digits, "report", "r/m", "--data", "x.npz", "--json"))
    (section,) = told["sections"]
    assert section["title"] == "Mine"
    assert [row[0] for row in section["rows"]] == [layer["name"] for layer in told["layers"]]
    evaluate = ("evaluate", "r/m", "--data", "x.npz", "--metric", "first", "--json")
    columns = json.loads(amct(digits, *evaluate))["columns"]
    assert len(columns) == 3
    assert all(0.2 < column["metrics"]["first"] <= 1 for column in columns)
    listed = json.loads(amct(digits, "plugins", "--json"))["provided"]
    for kind in ("passes", "lint_rules", "evaluators", "report_sections"):
        assert "mine" in [each["plugin"] for each in listed[kind]]
