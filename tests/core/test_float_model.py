"""The float32 model that a quantized one was made of is found again, or missed."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import attrs
import pytest

from amct_core.errors import ModelError
from amct_core.float_model import FloatModel, KnownFile
from amct_core.network_state import NetworkState


@pytest.fixture
def model(tmp_path: Path) -> FloatModel:
    (tmp_path / "models").mkdir()
    for name in ("n.prototxt", "n.caffemodel"):
        (tmp_path / "models" / name).write_text(f"this is {name}")
    return FloatModel.of(*(str(tmp_path / "models" / n) for n in ("n.prototxt", "n.caffemodel")))


def test_paths_are_relative_to_what_tells_of_them(model: FloatModel, tmp_path: Path) -> None:
    told = model.as_json(str(tmp_path / "result"))
    assert told == {
        "model": {
            "file": "../models/n.prototxt",
            "sha256": hashlib.sha256(b"this is n.prototxt").hexdigest(),
        },
        "weights": {
            "file": "../models/n.caffemodel",
            "sha256": hashlib.sha256(b"this is n.caffemodel").hexdigest(),
        },
    }
    assert FloatModel.from_json(told, str(tmp_path / "result")) == model


def test_all_of_it_may_be_moved(model: FloatModel, tmp_path: Path) -> None:
    told = model.as_json(str(tmp_path / "result"))
    (tmp_path / "new").mkdir()
    shutil.move(str(tmp_path / "models"), str(tmp_path / "new"))
    FloatModel.from_json(told, str(tmp_path / "new/result")).check()
    with pytest.raises(ModelError, match=r"n\.prototxt: there is no such file any more"):
        FloatModel.from_json(told, str(tmp_path / "result")).check()


def test_files_with_no_folder_in_common_keep_their_whole_path() -> None:
    assert KnownFile("/data/n.prototxt", "0").as_json("/home/result")["file"] == "/data/n.prototxt"


def test_a_folder_may_be_reached_through_a_link(model: FloatModel, tmp_path: Path) -> None:
    (tmp_path / "far/away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far/away", target_is_directory=True)
    told = model.as_json(str(tmp_path / "link"))
    for folder in ("link", "far/away"):
        assert FloatModel.from_json(told, str(tmp_path / folder)) == model


def test_another_content_is_another_file(model: FloatModel, tmp_path: Path) -> None:
    model.check()
    (tmp_path / "models/n.caffemodel").write_text("this is another")
    with pytest.raises(ModelError, match="it has changed: its SHA-256 is another one"):
        model.check()


def test_the_state_of_the_testing_net_is_handed_on(model: FloatModel, tmp_path: Path) -> None:
    model = attrs.evolve(model, test_state=NetworkState(level=1, stages=("a", "b")))
    found = FloatModel.from_json(model.as_json(str(tmp_path)), str(tmp_path))
    assert found.test_state == NetworkState(level=1, stages=("a", "b"))
