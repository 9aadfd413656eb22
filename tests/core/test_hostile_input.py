"""Broken or hostile files end in an error of ours, and cost no more than their size."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from amct_core.cli.main import INTERNAL_ERROR, cli
from amct_core.config import json_format
from amct_core.errors import ConfigError, FileFormatError, ModelError
from amct_core.textproto import parse
from cpu_sim_backend.data.npz import NpzSource, NpzWriter


@pytest.mark.parametrize(
    "text",
    [
        '{"batch_num": 1' + "0" * 500 + "}",
        '{"conv": {"retrain_data_config": {"clip_max": 1' + "0" * 400 + "}}}",
        '{"version": ' + "[" * 200 + "]" * 200 + "}",
        '{"version": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
def test_a_config_with_absurd_numbers_or_nesting_is_refused(text):
    with pytest.raises(ConfigError, match=r"64 bits|too deep"):
        json_format.parse(text, "config.json")


@pytest.mark.parametrize("prefix", ["", "0x", "1.", "-"])
def test_a_number_with_a_letter_behind_it_is_refused_where_it_begins(prefix):
    # Quadratic time would make hours of this.
    with pytest.raises(FileFormatError, match="line 1, column 6"):
        parse("dim: " + prefix + "9" * 2_000_000 + "x")


def test_an_integer_of_many_digits_is_no_integer():
    with pytest.raises(FileFormatError, match="expected an integer"):
        parse("dim: " + "9" * 1000).integer("dim")
    with pytest.raises(FileFormatError, match="expected a number"):
        parse("dim: 0x" + "f" * 1000).number("dim")


def _npz(path: Path, header: bytes, data: bytes = b"") -> str:
    with zipfile.ZipFile(path, "w") as archive:
        magic = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
        archive.writestr("data.npy", magic + header + data)
    return str(path)


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}\n",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4)}\n",
        b"{'descr': '|V0', 'fortran_order': False, 'shape': (4,)}\n",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,\n",
        b"(((\n",
    ],
)
def test_an_npz_header_that_does_not_fit_the_file_is_refused(tmp_path, header):
    with pytest.raises(FileFormatError, match=r"cannot be read as an \.npz file"):
        NpzSource(_npz(tmp_path / "data.npz", header))


@pytest.mark.parametrize("name", ["../data", "/data", "a/../../data", "a\\..\\data"])
def test_a_blob_whose_name_leads_outside_is_not_written(tmp_path, name):
    writer = NpzWriter(str(tmp_path / "out.npz"), str(tmp_path))
    with pytest.raises(ModelError, match="lie outside"):
        writer.add({name: np.zeros((1, 2), np.float32)})


def test_a_blob_with_a_slash_in_its_name_is_written(tmp_path):
    writer = NpzWriter(str(tmp_path / "out.npz"), str(tmp_path))
    writer.add({"inception_3a/1x1": np.zeros((1, 2), np.float32)})
    assert writer.close() == {"inception_3a/1x1": (1, 2)}


def test_an_exception_that_is_none_of_ours_leaves_a_report(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("amct_core.cli.plugins.registries", _fail, raising=False)
    monkeypatch.setattr("amct_core.plugins.registries", _fail)
    result = CliRunner().invoke(cli, ["plugins"])
    assert result.exit_code == INTERNAL_ERROR
    (report,) = tmp_path.glob("amct_internal_error_*.txt")
    assert "Traceback" in report.read_text() and "a fault of ours" in report.read_text()


def _fail(*_: object) -> None:
    raise IndexError("a fault of ours")
