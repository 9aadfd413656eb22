"""``amct ptq calibrate``, ``amct ptq save`` and ``amct convert``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from amct_core.cli.main import cli
from cpu_sim_backend.verify import verify
from plugins.amct_caffe.tests.ptq import networks

pytest.importorskip("caffe")

pytestmark = pytest.mark.caffe

FILES = "net.prototxt", "net.caffemodel"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with a network, a config and six samples."""
    monkeypatch.chdir(tmp_path)
    networks.write(tmp_path)
    np.savez("x.npz", **networks.arrays(0, samples=6))
    assert amct("ptq", "config", *FILES, "-o", "c.json", "--batch-num", "3")[0] == 0
    return tmp_path


def amct(*arguments: str) -> tuple[int, str]:
    """Run ``amct``; return the exit status and what it printed."""
    done = CliRunner().invoke(cli, arguments, prog_name="amct")
    return (
        done.exit_code,
        done.output if done.exception is None else f"{done.output}{done.exception}",
    )


def calibrated(*options: str) -> tuple[int, str]:
    return amct("ptq", "calibrate", *FILES, "-c", "c.json", "-o", "out", *options)


def test_from_data_in_a_file_to_an_exact_model(folder: Path) -> None:
    assert calibrated("--data", "x.npz")[0] == 0
    record = ("--record", "out/record.txt", "--save-path")
    status, out = amct("ptq", "save", *FILES, "-c", "c.json", *record, "result/m", "--json")
    assert status == 0
    assert "result/m_deploy_model.prototxt" in json.dumps(out)
    assert verify("result/m", networks.arrays(5)).exact
    assert amct("convert", *FILES, *record, "result/n")[0] == 0
    for end in ("fake_quant_weights.caffemodel", "deploy_weights.caffemodel"):
        saved, converted = (Path(f"result/{name}_{end}").read_bytes() for name in "mn")
        assert saved == converted


def test_too_few_samples_are_refused_before_anything_is_written(folder: Path) -> None:
    status, out = calibrated("--data", "x.npz", "--batch-size", "3")
    assert status == 1
    assert "it has 6 samples; 3 batches (batch_num) of 3 need 9" in " ".join(out.split())
    assert not Path("out").exists()


def test_a_missing_input_is_named(folder: Path) -> None:
    np.savez("y.npz", data=networks.arrays(0, samples=6)["data"])
    status, out = calibrated("--data", "y.npz")
    assert status == 1
    assert "the network's inputs are data, other" in " ".join(out.split())


def test_saving_before_calibrating_tells_how_far_it_is(folder: Path) -> None:
    Path("r.txt").write_text("")
    save = ("ptq", "save", *FILES, "-c", "c.json", "--record", "r.txt", "--save-path", "m")
    status, out = amct(*save)
    assert status == 1
    assert "of layer:left (0 of 3 batches seen)" in " ".join(out.split())
