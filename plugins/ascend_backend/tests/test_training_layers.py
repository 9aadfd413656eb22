"""AMCT's layout, with data, loss and accuracy layers, beside the layout that ATC takes."""

from __future__ import annotations

import io
import logging
import re
import tarfile
from pathlib import Path

import attrs
import numpy as np
import pytest
from click.testing import CliRunner

import amct_caffe
from amct_caffe.model.formats.prototxt import document as documents
from amct_core import workflow
from amct_core.config import json_format
from amct_core.errors import FileFormatError, ModelError, PluginError
from amct_core.file_names import deploy_files, name_map_file
from ascend_backend.atc.cli import command as atc
from ascend_backend.lint import Finding, lint
from cpu_sim_backend import Simulator
from cpu_sim_backend.cli import simulate
from tests.conformance.runner import pretend_training
from tests.conformance.weights import write_random_weights

DATA = """
layer { name: "source" type: "DummyData" top: "data" top: "label" dummy_data_param {
  data_filler { type: "gaussian" } data_filler { type: "constant" }
  shape { dim: 2 dim: 3 dim: 4 dim: 4 } shape { dim: 2 } } }
"""
DATABASE = """
layer { name: "source" type: "Data" top: "data" top: "label" include { phase: TEST }
  data_param { source: "nowhere" batch_size: 2 backend: LMDB } }
"""
REST = """
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 5 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy"
  include { phase: TEST } }
"""

QUANTIZED = [("ip_0_quant_layer", "Quant"), ("ip", "InnerProduct"), ("ip_dequant_layer", "DeQuant")]
ASCEND = [("data", "Input"), *QUANTIZED, ("loss", "Softmax")]
AMCT = [
    ("source", "DummyData"),
    *QUANTIZED,
    ("loss", "SoftmaxWithLoss"),
    ("accuracy", "Accuracy"),
]


@attrs.frozen
class Trained:
    """A modified model with a snapshot, as files in a folder."""

    folder: Path

    def file(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def arguments(self) -> tuple[str, str]:
        """The modified model and its snapshot."""
        return self.file("modified.prototxt"), self.file("snapshot.caffemodel")

    def with_backend(self, name: str) -> str:
        """Return a config that names a deploy backend."""
        config = json_format.read(self.file("c.json"))
        json_format.write(self.file("own.json"), attrs.evolve(config, deploy_backend=name))
        return self.file("own.json")

    def saved(self, backend: str) -> str:
        """Save with ``backend``; return the prefix."""
        prefix = self.file(backend)
        workflow.save(*self.arguments, prefix, "Deploy", self.file("record.txt"), None, backend)
        return prefix


def train(folder: Path, network: str) -> Trained:
    """Take a network through insertion, and write a snapshot as training would."""
    trained = Trained(folder)
    model, weights, config = map(trained.file, ("n.prototxt", "n.caffemodel", "c.json"))
    Path(model).write_text(network)
    write_random_weights(model, Path(weights))
    workflow.create_config(model, weights, config)
    modified = [trained.file(f"modified.{end}") for end in ("prototxt", "caffemodel")]
    workflow.insert(model, weights, config, *modified, trained.file("record.txt"))
    pretend_training(folder)
    return trained


@pytest.fixture(scope="module")
def shared_network(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("trained"), DATA + REST)


@pytest.fixture
def trained(shared_network: Trained, tmp_path: Path) -> Trained:
    """The same in a folder of the test's own, which it may write to."""
    for file in shared_network.folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return Trained(tmp_path)


def layers_of(prefix: str) -> list[tuple[str, str]]:
    return [(each.name, each.type) for each in documents.read(deploy_files(prefix).model).layers]


def without(findings: tuple[Finding, ...], rule: str) -> list[tuple[str, object]]:
    return [(each.rule.id, each.problem) for each in findings if each.rule.id != rule]


@pytest.mark.parametrize(
    ("backend", "expected"),
    [("ascend", ASCEND), ("amct", AMCT), ("ascend_with_training_layers", AMCT)],
)
def test_the_backend_decides(
    trained: Trained, backend: str, expected: list[tuple[str, str]]
) -> None:
    assert layers_of(trained.saved(backend)) == expected


def test_the_weights_do_not_depend_on_the_layout(trained: Trained) -> None:
    amct, ascend = (Path(deploy_files(trained.saved(each)).weights) for each in ("amct", "ascend"))
    assert amct.read_bytes() == ascend.read_bytes()


@pytest.mark.parametrize(
    ("keyword", "configured", "expected", "reason"),
    [
        (None, None, AMCT, "backend 'amct' .*: the default of the Python API"),
        (None, "ascend", ASCEND, "backend 'ascend' .*: as '.*own.json' says"),
        ("ascend", None, ASCEND, "backend 'ascend' .*: as it was asked for"),
        ("amct", "ascend", AMCT, "backend 'amct' .*: as it was asked for"),
    ],
)
def test_from_python_the_keyword_counts_most_then_the_config_then_amcts_layout(
    trained: Trained,
    caplog: pytest.LogCaptureFixture,
    keyword: str | None,
    configured: str | None,
    expected: list[tuple[str, str]],
    reason: str,
) -> None:
    config = trained.file("c.json") if configured is None else trained.with_backend(configured)
    with caplog.at_level(logging.INFO):
        amct_caffe.save_quant_retrain_model(
            *trained.arguments,
            "Both",
            trained.file("saved"),
            trained.file("record.txt"),
            config,
            deploy_backend=keyword,
        )
    assert layers_of(trained.file("saved")) == expected
    said = [each for each in caplog.messages if each.startswith("deploy backend")]
    assert len(said) == 1 and re.search(reason, said[0])


def test_an_unknown_backend_is_an_error_before_anything_is_written(trained: Trained) -> None:
    with pytest.raises(PluginError, match=r"'ascnd'.*Did you mean 'ascend'"):
        amct_caffe.save_quant_retrain_model(
            *trained.arguments, "Both", trained.file("new/saved"), deploy_backend="ascnd"
        )
    assert not (trained.folder / "new").exists()


@pytest.mark.parametrize(
    ("configured", "expected"), [(None, ASCEND), ("amct", AMCT), ("ascend", ASCEND)]
)
def test_from_the_commands_the_layout_for_atc_is_the_default(
    trained: Trained, configured: str | None, expected: list[tuple[str, str]]
) -> None:
    config = trained.file("c.json") if configured is None else trained.with_backend(configured)
    workflow.save(*trained.arguments, trained.file("s"), "Deploy", None, config)
    assert layers_of(trained.file("s")) == expected


def test_saving_ends_with_the_lines_of_amct(
    trained: Trained, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        amct_caffe.save_quant_retrain_model(*trained.arguments, "Both", trained.file("r/m"))
    ends = [
        ("weights_file", "fake_quant_weights.caffemodel"),
        ("model_file", "fake_quant_model.prototxt"),
        ("weights_file", "deploy_weights.caffemodel"),
        ("model_file", "deploy_model.prototxt"),
    ]
    prefix = f"{trained.folder.resolve()}/r/m"
    assert caplog.messages[-4:] == [f"The {kind} is saved in {prefix}_{end}" for kind, end in ends]


def test_every_function_makes_the_folders_that_are_missing(tmp_path: Path) -> None:
    given = Trained(tmp_path)
    model, weights = given.file("n.prototxt"), given.file("n.caffemodel")
    Path(model).write_text(DATA + REST)
    write_random_weights(model, Path(weights))
    config = given.file("a/b/c.json")
    amct_caffe.create_quant_retrain_config(config, model, weights)
    modified = [given.file("c/d/modified.prototxt"), given.file("e/f/modified.caffemodel")]
    record = given.file("g/h/record.txt")
    amct_caffe.create_quant_retrain_model(model, weights, config, *modified, record)
    assert all(map(Path.is_file, map(Path, (config, *modified, record))))
    # A snapshot stands where pretended training expects the modified model.
    for name, path in zip(("modified.prototxt", "modified.caffemodel"), modified):
        (tmp_path / name).write_bytes(Path(path).read_bytes())
    (tmp_path / "record.txt").write_bytes(Path(record).read_bytes())
    pretend_training(tmp_path)
    amct_caffe.save_quant_retrain_model(
        *given.arguments, "Both", given.file("i/j/m"), given.file("record.txt"), config
    )
    assert layers_of(given.file("i/j/m")) == AMCT


class TestWhatIsMadeOfAmctsLayout:
    """Whatever reads it sees the layout for ATC."""

    def test_the_simulation_is_the_same(self, trained: Trained) -> None:
        data = np.random.default_rng(0).normal(size=(7, 3, 4, 4)).astype(np.float32)
        found = [
            Simulator(*deploy_files(trained.saved(name))).run({"data": data})
            for name in ("amct", "ascend")
        ]
        assert found[0].keys() == found[1].keys() == {"prob"}
        assert np.array_equal(found[0]["prob"], found[1]["prob"])

    def test_lint_names_the_layers_and_finds_nothing_else(self, trained: Trained) -> None:
        theirs = lint(*deploy_files(trained.saved("amct")))
        named = [each.problem.layer for each in theirs if each.rule.id == "A119"]
        assert named == ["source", "loss", "accuracy"]
        ours = lint(*deploy_files(trained.saved("ascend")))
        assert without(theirs, "A119") == without(ours, "none")

    def test_other_rules_are_asked_about_what_remains(self, trained: Trained) -> None:
        model = Path(deploy_files(trained.saved("amct")).model)
        model.write_text(model.read_text().replace('"ip"', '"i p"'))
        found = {each.rule.id for each in lint(*deploy_files(trained.file("amct")))}
        assert {"A003", "A119"} <= found

    def test_after_the_edits_of_amcts_sample_lint_is_clean(self, trained: Trained) -> None:
        files = deploy_files(trained.saved("amct"))
        edited = edited_as_by_the_sample(files.model, shape=(1, 3, 4, 4), heads=2)
        assert lint(edited, files.weights) == tuple(
            each for each in lint(*files) if each.rule.id != "A119"
        )

    def test_atc_is_given_the_layout_that_it_takes(
        self, trained: Trained, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "")
        prefixes = [trained.saved(name) for name in ("amct", "ascend")]
        Path(name_map_file(prefixes[0])).unlink()
        results = [
            CliRunner().invoke(atc, [each, "--soc-version", "Ascend310P3"]) for each in prefixes
        ]
        assert [each.exit_code for each in results] == [0, 0], results[0].output
        assert "'source', 'loss', 'accuracy'" in results[0].output
        assert "Not given to atc" not in results[1].output
        assert bundled_model(prefixes[0]) == bundled_model(prefixes[1])

    def test_an_edited_prototxt_is_simulated_in_place_of_the_saved_one(
        self, trained: Trained
    ) -> None:
        prefix = trained.saved("amct")
        edited = edited_as_by_the_sample(deploy_files(prefix).model, shape=(1, 3, 4, 4), heads=2)
        np.savez(trained.file("x.npz"), data=np.ones((3, 3, 4, 4), np.float32))
        arguments = ["--data", trained.file("x.npz"), "-o", trained.file("y.npz")]
        result = CliRunner().invoke(simulate, [prefix, "--model", edited, *arguments])
        assert result.exit_code == 0, result.output
        with np.load(trained.file("y.npz")) as found:
            assert list(found) == ["ip"]


class TestADataLayerThatDoesNotTellTheShape:
    """Training has recorded it; only the file beside the prototxt can tell it."""

    @pytest.fixture
    def prefixes(self, tmp_path: Path) -> tuple[str, str]:
        """The network in AMCT's layout and in the other one."""
        trained = train(tmp_path, DATA + REST)
        amct, ascend = trained.saved("amct"), trained.saved("ascend")
        model = Path(deploy_files(amct).model)
        document = documents.read(str(model))
        document.layers[0] = documents.from_text(DATABASE).layers[0]
        model.write_text(document.format())
        return amct, ascend

    def test_what_was_recorded_counts(self, prefixes: tuple[str, str]) -> None:
        amct, ascend = (Simulator(*deploy_files(prefix)) for prefix in prefixes)
        assert amct.inputs == ascend.inputs == {"data": (2, 3, 4, 4)}
        assert not [each for each in lint(*deploy_files(prefixes[0])) if each.rule.id == "A021"]

    def test_without_it_the_error_says_what_to_do(self, prefixes: tuple[str, str]) -> None:
        Path(name_map_file(prefixes[0])).unlink()
        with pytest.raises(ModelError, match=r"input 'data' is not known.*--backend ascend"):
            Simulator(*deploy_files(prefixes[0]))

    def test_without_it_lint_says_that_atc_needs_it(self, prefixes: tuple[str, str]) -> None:
        Path(name_map_file(prefixes[0])).unlink()
        found = lint(*deploy_files(prefixes[0]))
        assert "data" in [each.problem.layer for each in found if each.rule.id == "A021"]

    @pytest.mark.parametrize("content", ["{", '{"input_shapes": {"data": "2,3"}}'])
    def test_a_damaged_file_is_an_error_that_names_it(
        self, prefixes: tuple[str, str], content: str
    ) -> None:
        Path(name_map_file(prefixes[0])).write_text(content)
        with pytest.raises(FileFormatError, match=r"amct_quant\.json"):
            Simulator(*deploy_files(prefixes[0]))


def test_a_float_network_with_data_layers_is_not_taken_for_amcts_layout(tmp_path: Path) -> None:
    model, weights = tmp_path / "n.prototxt", tmp_path / "n.caffemodel"
    model.write_text(DATA + REST)
    write_random_weights(str(model), weights)
    rules = {each.rule.id for each in lint(str(model), str(weights))}
    assert "A013" in rules and "A119" not in rules


def edited_as_by_the_sample(model: str, shape: tuple[int, ...], heads: int) -> str:
    """Edit by position: the first layer becomes an Input, the last ones go; return the file."""
    document = documents.read(model)
    dims = " ".join(f"dim: {size}" for size in shape)
    text = (
        f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}'
    )
    document.layers[0] = documents.from_text(text).layers[0]
    del document.layers[-heads:]
    edited = Path(model).with_name("edited.prototxt")
    edited.write_text(document.format())
    return str(edited)


def bundled_model(prefix: str) -> list[str]:
    """Return the layers that a bundle gives to ATC."""
    name = Path(prefix).name
    with tarfile.open(f"{prefix}_atc_bundle.tar.gz") as archive:
        file = archive.extractfile(f"{name}_atc_bundle/{name}_deploy_model.prototxt")
        assert file is not None
        return io.TextIOWrapper(file).read().splitlines()
