"""Files of two saves do not pass for one model, and a prototxt may still be edited by hand."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from google.protobuf import text_format

from amct_caffe.frontend import CaffeFrontend
from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.schema.encoding import encode
from amct_caffe.model.schema.pool import message_class
from amct_core import workflow
from amct_core.cli.main import cli
from amct_core.errors import FileFormatError, ModelError
from amct_core.file_names import deploy_files, fake_quant_files, name_map_file
from ascend_backend.lint import lint
from ascend_backend.reader import read_deploy_model
from cpu_sim_backend.simulator import Simulator
from plugins.cpu_sim_backend.tests.integers.corrupting import Saved, save
from tests.conformance.runner import pretend_training


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two saves of one network, trained to other bounds and weights."""
    first, second = (tmp_path_factory.mktemp(name) for name in ("first", "second"))
    save(first)
    save(second)
    pretend_training(second, dict.fromkeys(("one", "two", "three"), (3.0, -3.0)))
    modified, snapshot = str(second / "modified.prototxt"), str(second / "snapshot.caffemodel")
    record, config = str(second / "record.txt"), str(second / "c.json")
    workflow.save(modified, snapshot, str(second / "saved"), "Both", record, config)
    return first, second


@pytest.fixture
def first(sets: tuple[Path, Path], tmp_path: Path) -> str:
    """Return the prefix of a copy of the first one."""
    shutil.copytree(sets[0], tmp_path / "copy")
    return str(tmp_path / "copy/saved")


def take(sets: tuple[Path, Path], prefix: str, *names: str) -> None:
    """Copy files of the second set over those of the first."""
    for name in names:
        shutil.copy(sets[1] / f"saved_{name}", f"{prefix}_{name}")


def rules(prefix: str, model: str | None = None) -> dict[str, str | None]:
    saved = deploy_files(prefix, model)
    return {found.rule.id: found.problem.layer for found in lint(*saved)}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_the_map_of_names_holds_digests_that_sha256sum_gives(first: str) -> None:
    digests = json.loads(Path(name_map_file(first)).read_text())["digests"]
    for kind, files in (("deploy", deploy_files(first)), ("fake_quant", fake_quant_files(first))):
        for key in ("model", "weights"):
            content = Path(getattr(files, key)).read_bytes()
            assert digests[kind][key] == hashlib.sha256(content).hexdigest()
    folder = Path(first).parent
    for key, name in (("model", "modified.prototxt"), ("weights", "snapshot.caffemodel")):
        found = digests["made_from"][key]
        content = (folder / name).read_bytes()
        assert found == {"file": name, "sha256": hashlib.sha256(content).hexdigest()}


def test_it_tells_the_float_model_relative_to_itself(sets: tuple[Path, Path]) -> None:
    folder = sets[0]
    found = json.loads((folder / "saved_quant.json").read_text())["digests"]["float"]
    for key, name in (("model", "n.prototxt"), ("weights", "n.caffemodel")):
        content = (folder / name).read_bytes()
        assert found[key] == {"file": name, "sha256": hashlib.sha256(content).hexdigest()}


def test_the_float_model_may_be_moved_together_with_the_saved_set(first: str) -> None:
    folder = Path(first).parent
    found = CaffeFrontend().float_model(first)
    assert found is not None
    assert Path(found.model.path) == folder / "n.prototxt"
    found.check()
    with (folder / "n.caffemodel").open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(ModelError, match=r"n\.caffemodel: it has changed.*--float MODEL WEIGHTS"):
        found.check()
    (folder / "n.prototxt").unlink()
    with pytest.raises(ModelError, match=r"n\.prototxt: there is no such file any more"):
        found.check()


def test_models_of_earlier_versions_tell_of_no_float_model(first: str) -> None:
    names = Path(name_map_file(first))
    content = json.loads(names.read_text())
    del content["digests"]["float"]
    names.write_text(json.dumps(content))
    assert CaffeFrontend().float_model(first) is None
    names.unlink()
    assert CaffeFrontend().float_model(first) is None


@pytest.mark.parametrize("value", [{}, [], "x", {"model": {"file": 1}, "weights": {}}])
def test_a_damaged_float_model_is_an_error(first: str, value: object) -> None:
    names = Path(name_map_file(first))
    content = json.loads(names.read_text())
    content["digests"]["float"] = value
    names.write_text(json.dumps(content))
    with pytest.raises(FileFormatError, match=r"field 'digests\.float'.*Save the model again"):
        CaffeFrontend().float_model(first)


def test_a_model_inserted_by_an_earlier_version_is_saved_without_one(
    sets: tuple[Path, Path], tmp_path: Path
) -> None:
    shutil.copytree(sets[0], tmp_path / "copy")
    folder = tmp_path / "copy"
    modified = folder / "modified.prototxt"
    text, count = re.subn(r'\\"float_model\\": \{.*?\}\}, ', "", modified.read_text())
    assert count == 1
    modified.write_text(text)
    snapshot, record, prefix = (str(folder / n) for n in ("snapshot.caffemodel", "record.txt", "o"))
    workflow.save(str(modified), snapshot, prefix, "Both", record)
    assert "float" not in json.loads(Path(name_map_file(prefix)).read_text())["digests"]
    assert CaffeFrontend().float_model(prefix) is None


def test_one_save_is_one_set(first: str) -> None:
    assert "A120" not in rules(first)
    Simulator(*deploy_files(first))
    read_deploy_model(first)


MIXED = {
    "new prototxt": ("deploy_model.prototxt",),
    "new weights": ("deploy_weights.caffemodel",),
    "new map of names": ("quant.json",),
    "old prototxt": ("deploy_weights.caffemodel", "quant.json"),
    "old weights": ("deploy_model.prototxt", "quant.json"),
    "old map of names": ("deploy_model.prototxt", "deploy_weights.caffemodel"),
}


@pytest.mark.parametrize("mixed", MIXED)
def test_files_of_two_saves_are_refused(sets: tuple[Path, Path], first: str, mixed: str) -> None:
    take(sets, first, *MIXED[mixed])
    with pytest.raises(ModelError, match="Save the model again"):
        Simulator(*deploy_files(first))
    with pytest.raises(ModelError):
        read_deploy_model(first)
    assert "A120" in rules(first)


def test_the_commands_refuse_them(sets: tuple[Path, Path], first: str, tmp_path: Path) -> None:
    take(sets, first, "deploy_model.prototxt")
    data = str(Path(first).parent / "x.npz")
    output = str(tmp_path / "y.npz")
    simulated = run("simulate", first, "--data", data, "-o", output)
    assert simulated.exit_code == 1 and "layer 'one_0_quant_layer'" in simulated.output
    assert not Path(output).exists()
    verified = run("verify", first, "--data", data, "--against", "reference", "--json")
    assert verified.exit_code == 1
    assert run("lint", first).exit_code == 1
    converted = run("atc", first, "--soc-version", "Ascend310P3")
    assert converted.exit_code == 1 and "A120" in converted.output
    assert not Path(f"{first}_atc_bundle.tar.gz").exists()


def test_verify_tells_it_beside_the_numbers(
    sets: tuple[Path, Path], first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("numba")
    take(sets, first, "fake_quant_weights.caffemodel")
    saved = Saved(first, str(Path(first).parent / "x.npz"))
    found = saved.verify(capsys, "--against", "reference")
    assert found.exit_code == 1 and len(found.report["mixed_files"]) == 1
    assert "fake_quant_weights.caffemodel" in found.report["mixed_files"][0]
    assert [layer["name"] for layer in found.report["layers"]] == ["one", "two", "three"]


def by_protobuf(text: str) -> str:
    """Return the prototxt as protobuf writes it, as a script that edits it with caffe_pb2 does."""
    net = message_class("NetParameter")()
    for layer in documents.from_text(text).layers:
        net.layer.add().MergeFromString(encode(layer.message, "LayerParameter"))
    return text_format.MessageToString(net)


MORE = 'layer { name: "x" type: "TanH" bottom: "prob" top: "x" }'
EDITS: dict[str, Callable[[str], str]] = {
    "a comment": lambda text: f"# by hand\n{text}",
    "written by protobuf": by_protobuf,
    "another shape of the input": lambda text: text.replace("dim: 2\n", "dim: 1\n", 1),
    "another name of the network": lambda text: text.replace('name: ""', 'name: "mine"', 1),
    "without its last layer": lambda text: text[: text.rindex("layer {")],
    "one layer more": lambda text: (
        text + 'layer { name: "x" type: "TanH" bottom: "prob" top: "x" }'
    ),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("in_place", [True, False])
def test_a_prototxt_that_is_edited_by_hand_goes_on(
    first: str, edit: str, in_place: bool, caplog: pytest.LogCaptureFixture
) -> None:
    saved = deploy_files(first)
    edited = EDITS[edit](Path(saved.model).read_text())
    assert edited != Path(saved.model).read_text()
    model = saved.model if in_place else f"{first}_atc_model.prototxt"
    Path(model).write_text(edited)
    with caplog.at_level(logging.INFO, "amct_caffe.model.saved_set"):
        assert "A120" not in rules(first, model)
    assert "has been edited since it was saved" in caplog.text
    assert ("WARNING" in caplog.text) is in_place
    Simulator(model, saved.weights)


def test_an_edited_quantized_layer_is_refused_and_named(first: str) -> None:
    model = Path(deploy_files(first).model)
    model.write_text(model.read_text().replace("pad: 1", "pad: 0"))
    with pytest.raises(ModelError, match=r"layer 'one'.*has been edited"):
        Simulator(*deploy_files(first))
    assert rules(first)["A120"] == "one"


def test_models_without_digests_are_not_checked(sets: tuple[Path, Path], first: str) -> None:
    take(sets, first, "deploy_model.prototxt")
    names = Path(name_map_file(first))
    content = json.loads(names.read_text())
    del content["digests"]
    names.write_text(json.dumps(content))
    assert "A120" not in rules(first)
    names.unlink()
    Simulator(*deploy_files(first))


def test_a_set_may_be_copied_under_another_prefix(first: str, tmp_path: Path) -> None:
    for path in Path(first).parent.glob("saved_*"):
        shutil.copy(path, tmp_path / path.name.replace("saved_", ""))
    prefix = f"{tmp_path}/"
    assert "A120" not in rules(prefix)
    Simulator(*deploy_files(prefix))


@pytest.mark.parametrize(
    "digests", ["[]", '{"deploy": 3}', '{"deploy": {"model": "", "weights": 1, "layers": {}}}']
)
def test_damaged_digests_are_an_error_that_names_the_file(first: str, digests: str) -> None:
    names = Path(name_map_file(first))
    content = json.loads(names.read_text())
    names.write_text(json.dumps({**content, "digests": json.loads(digests)}))
    with pytest.raises(FileFormatError, match=r"_quant\.json.*digests"):
        Simulator(*deploy_files(first))


def test_what_is_beside_the_digests_is_as_amct_has_it(first: str) -> None:
    content = json.loads(Path(name_map_file(first)).read_text())
    assert list(content) == ["name", "graph", "digests"]


def test_a_map_of_names_that_holds_no_object_is_an_error(first: str) -> None:
    Path(f"{first}_quant.json").write_text("null")
    done = run("lint", first)
    assert done.exit_code == 1
    assert "it holds NoneType; expected an object of layer names" in done.output
