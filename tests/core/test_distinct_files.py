"""No step writes over a file that it reads, nor two results into one file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from amct_core.distinct_files import check_distinct
from amct_core.errors import ConfigError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with an input ``a``."""
    monkeypatch.chdir(tmp_path)
    Path("a").write_text("input")
    return tmp_path


def test_other_files_may_be_written_and_arguments_may_be_missing() -> None:
    check_distinct({"model": "a", "solver": None}, {"config": "b", "record": "c", "log": None})


@pytest.mark.parametrize("same", ["a", "./a", "b/../a"])
def test_an_output_that_is_an_input_is_refused_and_both_are_named(same: str) -> None:
    with pytest.raises(ConfigError, match=r"record is the same file as model") as caught:
        check_distinct({"model": "a"}, {"record": same})
    assert (caught.value.file, caught.value.field) == (same, "record")


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_to_an_input_is_the_input(link: object, folder: Path) -> None:
    assert callable(link)
    link(str(folder / "a"), str(folder / "b"))
    with pytest.raises(ConfigError, match="same file"):
        check_distinct({"model": "a"}, {"record": "b"})


def test_two_inputs_may_be_one_file_but_not_two_outputs() -> None:
    check_distinct({"model": "a", "other": "a"}, {"record": "b"})
    with pytest.raises(ConfigError, match="record is the same file as config, which is written"):
        check_distinct({}, {"config": "new/b", "record": "new/./b"})


def test_the_files_of_a_save_path_are_outputs() -> None:
    for name in (
        "r/m_deploy_model.prototxt",
        "r/m_fake_quant_weights.caffemodel",
        "r/m_quant.json",
    ):
        with pytest.raises(ConfigError, match="save_path is the same file as model"):
            check_distinct({"model": name}, {}, "r/m")
    check_distinct({"model": "r/m_deploy_model.prototxt"}, {}, "r/m", "Fakequant")
    check_distinct({"model": "r/m_fake_quant_model.prototxt"}, {}, "r/m", "Deploy")
