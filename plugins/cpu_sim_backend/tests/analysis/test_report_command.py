"""``amct report``: what it prints and writes, saved models and those that cannot be saved."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np
import pytest
from click.testing import CliRunner, Result

from amct_caffe.model.formats.caffemodel import writer
from amct_core import workflow
from amct_core.cli.main import cli
from amct_core.errors import AmctError, FileFormatError
from amct_core.extensions import ReportSection, SectionContent
from amct_core.numerics.bias import BiasOutOfRange
from cpu_sim_backend import Simulator
from cpu_sim_backend.analysis import strict_json, terminal
from cpu_sim_backend.analysis.learned import learned_bounds
from cpu_sim_backend.analysis.networks import Unsaved, saved_networks, unsaved_networks
from tests import mistakes
from tests.conformance.runner import pretend_training

NETWORK = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 1 } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""
PAIR = "n.prototxt", "n.caffemodel"
TRAINED = "modified.prototxt", "snapshot.caffemodel"
DATA_BOUNDS = (4.0, -4.0)


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with a network into which fake quantization was inserted."""
    monkeypatch.chdir(tmp_path)
    Path(PAIR[0]).write_text(NETWORK)
    biases = normal(2, 4)
    biases[1] = -3e4  # fits int32 with the bounds that training begins with
    layers = [
        ("conv", "Convolution", [normal(1, 4, 3, 1, 1), biases]),
        ("norm", "BatchNorm", [normal(3, 4), np.abs(normal(4, 4)) + 1, np.ones(1, np.float32)]),
        ("ip", "InnerProduct", [normal(5, 5, 64), normal(6, 5)]),
    ]
    with open(PAIR[1], "wb") as stream:
        writer.write(stream, "n", layers)
    np.savez("x.npz", data=normal(7, 6, 3, 4, 4))
    workflow.create_config(*PAIR, "c.json")
    config = json.loads(Path("c.json").read_text())
    config["batch_norm"], config["shift_n_algo"] = "fold", "none"
    Path("c.json").write_text(json.dumps(config))
    workflow.insert(*PAIR, "c.json", "modified.prototxt", "modified.caffemodel", "record.txt")
    return tmp_path


def train(**bounds: tuple[float, float]) -> None:
    """Leave what a training leaves that ended at these bounds."""
    pretend_training(Path(), {"conv": DATA_BOUNDS, "ip": (3.0, -0.1), **bounds}, searches=False)


def save() -> None:
    workflow.save(*TRAINED, "saved", "Both", "record.txt", "c.json")


def amct(*arguments: str) -> Result:
    # Whether kernels are compiled, which the log tells, is no part of what is printed.
    logging.disable(logging.INFO)
    try:
        return CliRunner().invoke(cli, ["report", *arguments, "--data", "x.npz"])
    finally:
        logging.disable(logging.NOTSET)


def test_data_of_another_shape_are_refused(folder: Path) -> None:
    train()
    save()
    np.savez("x.npz", data=normal(7, 6, 4, 4, 3))
    result = amct("saved")
    assert result.exit_code == 1
    assert "(6, 4, 4, 3); expected numbers of shape (N, 3, 4, 4)" in result.output


def test_it_prints_a_verdict_the_findings_and_the_layers(folder: Path) -> None:
    train(ip=(0.02, -0.02))
    save()
    result = amct("saved", "--float", *PAIR)
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert text.startswith("On 6 samples int8 decides as float in ")
    assert "the worst first: ip (clipping)" in text
    assert "1. ip: clipping found: the bounds are " in text
    assert "In the qat config: retrain_data_config.clip_max: " in text
    assert max(map(len, result.output.splitlines())) <= 100


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Return a function that installs a plugin."""
    yield from mistakes.installed(monkeypatch)


def test_a_section_that_fails_costs_no_report_and_exits_with_1(
    folder: Path, install: Callable[..., Any]
) -> None:
    train()
    save()
    install(
        "amct_report_sections",
        ReportSection("bad", "Bad", lambda report, graph: report["no"]),
        ReportSection("good", "Good", lambda report, graph: SectionContent("Well.")),
    )
    result = amct("saved", "--float", *PAIR, "-o", "page.html", "--json")
    assert result.exit_code == 1
    said = "It could not be made: plugin 'mine', report section 'bad': build failed with KeyError"
    report, _ = json.JSONDecoder().raw_decode(result.stdout)
    assert [each["title"] for each in report["sections"]] == ["Bad", "Good"]
    assert report["sections"][0]["paragraphs"][0].startswith(said)
    assert report["layers"]
    page = Path("page.html").read_text()
    assert "It could not be made" in page and "Well." in page
    error, traceback = result.output.splitlines()[-2:]
    assert error.startswith("Error: parts of the report failed: section 'bad' of plugin 'mine'; it")
    report_file = Path(traceback.partition(" is in ")[2].rstrip("."))
    assert 'report["no"]' in report_file.read_text()
    report_file.unlink()


def test_its_json_is_strict_and_its_advice_is_what_config_reads(folder: Path) -> None:
    train(ip=(0.02, -0.02))
    save()
    result = amct("saved", "--float", *PAIR, "--advice", "a.json", "--json")

    def refuse(word: str) -> Any:
        raise AssertionError(word)

    report = json.loads(result.stdout, parse_constant=refuse)
    assert [layer["name"] for layer in report["layers"]] == ["conv", "ip"]
    advice = json.loads(Path("a.json").read_text())
    assert advice["version"] == 1
    (entry,) = advice["advice"]
    assert set(entry) == {"layer", "cause", "reason", "qat", "ptq"}
    assert (entry["layer"], entry["cause"]) == ("ip", "clipping")
    assert set(entry["qat"]) == {"set"}
    high = entry["qat"]["set"]["retrain_data_config.clip_max"]
    assert high == pytest.approx(report["layers"][1]["activation"]["best_max"], rel=1e-3)


def test_sensitivities_are_a_part_of_the_table(folder: Path) -> None:
    train()
    save()
    lines = amct("saved", "--sensitivity").output.splitlines()
    (heading,) = (line for line in lines if line.startswith("layer "))
    assert "one in int8  one in float" in heading
    assert any("with all in int8 except one" in line for line in lines)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-o", "x.npz"), "--output is the same file as --data, which is read"),
        (("--float", *TRAINED, "--advice", TRAINED[1]), "the same file as --float WEIGHTS"),
        (("-o", "saved_quant.json"), "the same file as saved_quant.json"),
        (("-o", "new", "--advice", "new"), "the same file as --output, which is written, too"),
        (("-o", "folder"), "it is a folder"),
    ],
)
def test_nothing_that_is_read_is_overwritten(
    folder: Path, options: tuple[str, ...], words: str
) -> None:
    train()
    save()
    Path("folder").mkdir()
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    result = amct("saved", *options)
    assert isinstance(result.exception, AmctError) or result.exit_code == 1
    assert words in " ".join(f"{result.output} {result.exception}".split())
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_numbers_that_json_does_not_know() -> None:
    found = json.loads(strict_json.dumps({"a": (math.inf, -math.inf, math.nan, 1.5), 2: None}))
    assert found == {"a": ["inf", "-inf", None, 1.5], "2": None}


def test_what_was_saved_from_is_the_float_network(folder: Path) -> None:
    train()
    save()
    named, found = amct("saved", "--float", *TRAINED, "--json"), amct("saved", "--json")
    reports = [json.loads(each.stdout) for each in (named, found)]
    assert [{**each, "seconds": 0} for each in reports[:1]] == [{**reports[1], "seconds": 0}]


def test_it_is_asked_for_where_it_has_changed(folder: Path) -> None:
    train()
    save()
    with open(TRAINED[1], "ab") as stream:
        stream.write(b"\x0a\x00")
    with pytest.raises(AmctError, match=r"its SHA-256 is another one.*--float MODEL WEIGHTS"):
        saved_networks("saved", None)
    assert amct("saved", "--float", *PAIR).exit_code == 0


def test_it_is_asked_for_where_nothing_is_known_of_it(folder: Path) -> None:
    train()
    save()
    path = Path("saved_quant.json")
    content = json.loads(path.read_text())
    del content["digests"]["made_from"]
    path.write_text(json.dumps(content))
    with pytest.raises(AmctError, match="with --float MODEL WEIGHTS"):
        saved_networks("saved", None)


def test_the_trained_pair_is_a_float_network_with_the_trained_weights(folder: Path) -> None:
    train()
    save()
    trained, original = (saved_networks("saved", pair).original for pair in (TRAINED, PAIR))
    assert "conv_activation_qat" not in trained
    data = {"data": normal(7, 6, 3, 4, 4)}
    expected, found = (Simulator.from_graph(each).run(data) for each in (original, trained))
    np.testing.assert_allclose(found["prob"], expected["prob"], rtol=1e-4, atol=1e-6)


def test_before_saving_a_layer_that_saving_refuses_comes_first(folder: Path) -> None:
    train(conv=(1e-3, -1e-3), ip=(0.02, -0.02))
    with pytest.raises(BiasOutOfRange, match="the bias of channel 1"):
        save()
    result = amct("name", "--unsaved", *TRAINED, "--json")
    report = json.loads(result.stdout)
    causes = [(each["layer"], each["cause"]) for each in report["findings"]]
    assert causes == [("conv", "bias out of int32"), ("ip", "clipping")]
    assert report["findings"][0]["weight"] == "inf"
    assert [layer["name"] for layer in report["layers"]] == ["ip"]
    assert ["conv", report["findings"][0]["measured"]] in report["float_layers"]
    assert any("conv" in note and "refuses" in note for note in report["notes"])
    assert not list(folder.glob("name*"))


def test_a_model_that_can_be_saved_is_the_same_before_saving(folder: Path) -> None:
    train()
    save()
    saved = saved_networks("saved", TRAINED)
    unsaved = unsaved_networks(Unsaved(*TRAINED), None, {})
    assert unsaved.refused == {}
    assert [n.name for n in saved.deployed.nodes] == [n.name for n in unsaved.deployed.nodes]
    for mine, other in zip(saved.deployed.nodes, unsaved.deployed.nodes):
        for left, right in zip(mine.weights, other.weights):
            np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("saved", "--record", "record.txt"), "with --unsaved only"),
        (("saved", "--sensitivity-samples", "3"), "with --sensitivity only"),
    ],
)
def test_options_that_disagree(folder: Path, options: tuple[str, ...], message: str) -> None:
    result = amct(*options)
    assert result.exit_code == 2
    assert message in result.output


class TestLearnedBounds:
    def test_they_are_those_of_the_layers_that_share_a_quant(self, tmp_path: Path) -> None:
        path = tmp_path / "metrics.jsonl"
        lines = [
            {"iteration": 0, "loss": 2.5, "bounds": {"a_activation_qat": [1.0, -0.5]}},
            {"iteration": 10, "net": 0, "test": {"loss": 1}},
            {"iteration": 20, "loss": 2.0, "bounds": {"a_activation_qat": [2.0, -0.25]}},
        ]
        path.write_text("\n".join(map(json.dumps, lines)) + "\n")
        found = learned_bounds(str(path), {"a": ["a", "b"], "b": ["a", "b"], "c": ["c"]})
        assert [each.layer for each in found] == ["a", "b"]
        assert found[1].iterations == (0, 20)
        assert (found[1].clip_max, found[1].clip_min) == ((1.0, 2.0), (-0.5, -0.25))

    @pytest.mark.parametrize("text", ["{", "[1]", '{"iteration": 1, "bounds": {"a": [1]}}'])
    def test_another_file_is_refused(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "metrics.jsonl"
        path.write_text(f"{text}\n")
        with pytest.raises(FileFormatError, match="amct qat train --metrics"):
            learned_bounds(str(path), {"a": ["a"]})


def test_long_names_fold_and_are_not_cut() -> None:
    words = "layer_with_a_name_that_is_longer_than_the_line is said in full"
    assert terminal._folded(words, 20) == [
        "layer_with_a_name_that_is_longer_than_the_line",
        "is said in full",
    ]
