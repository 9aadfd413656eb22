"""``amct_caffe calibration`` in Caffe, from files to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amct_caffe.command_line.main import main
from cpu_sim_backend.verify import verify
from plugins.amct_caffe.tests.ptq import networks

pytest.importorskip("caffe")

pytestmark = pytest.mark.caffe

MODEL = ("calibration", "--model", "net.prototxt", "--weights", "net.caffemodel")
SAVED = ("--save_path", "./results/net_")
FILES = {
    "net__deploy_model.prototxt",
    "net__deploy_weights.caffemodel",
    "net__fake_quant_model.prototxt",
    "net__fake_quant_weights.caffemodel",
    "net__quant.json",
}
SHAPE = "data:{0},3,12,12;other:{0},3,12,12"

EVALUATOR = """
import caffe
import numpy as np


class Evaluator:
    def calibration(self, modified_model, modified_weights):
        net = caffe.Net(modified_model, modified_weights, caffe.TEST)
        for seed in range({batches}):
            array = np.random.RandomState(seed).randn(2, 3, 12, 12)
            net.forward(data=array, other=array)


customize_evaluator = {value}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with a network and three batches of each input."""
    monkeypatch.chdir(tmp_path)
    networks.write(tmp_path)
    for name in ("data", "other"):
        (tmp_path / name).mkdir()
        for seed in range(3):
            array = networks.arrays(seed, samples=3)[name]
            array.tofile(tmp_path / name / f"{seed}.bin")
    return tmp_path


def fed(*options: str, shape: str = SHAPE.format(3)) -> int:
    data = ("--input_shape", shape, "--data_dir", "data;other", "--data_type", "float32;float32")
    return main([*MODEL, *SAVED, *data, *options])


def test_raw_files_give_exact_models_and_nothing_else(folder: Path) -> None:
    assert fed("--batch_num", "3") == 0
    assert {path.name for path in (folder / "results").iterdir()} == FILES
    assert verify("results/net_", networks.arrays(5)).exact


def test_an_evaluator_runs_the_batches_of_the_configuration(folder: Path) -> None:
    Path("quant.cfg").write_text("batch_num: 2\n")
    Path("eva.py").write_text(EVALUATOR.format(batches=2, value="Evaluator()"))
    options = ("--evaluator", "eva.py", "--calibration_config", "quant.cfg")
    assert main([*MODEL, *SAVED, *options]) == 0
    assert verify("results/net_", networks.arrays(5)).exact


def test_an_evaluator_that_runs_too_few_batches_is_told_how_many(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("eva2.py").write_text(EVALUATOR.format(batches=1, value="Evaluator()"))
    assert main([*MODEL, *SAVED, "--evaluator", "eva2.py", "--batch_num", "2"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "1 of 2 batches seen" in said
    assert "Error: eva2.py" in said
    assert "record.txt" not in said  # it is gone
    assert not Path("results").exists()


@pytest.mark.parametrize("value", ["None", "Evaluator", "3"])
def test_a_file_without_an_evaluator_is_refused(
    folder: Path, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("eva3.py").write_text(EVALUATOR.format(batches=1, value=value))
    assert main([*MODEL, *SAVED, "--evaluator", "eva3.py"]) == 1
    assert "eva3.py" in (said := capsys.readouterr().err)
    assert "customize_evaluator" in said


def test_an_evaluator_that_is_not_there_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*MODEL, *SAVED, "--evaluator", "nobody.py"]) == 1
    assert "nobody.py" in capsys.readouterr().err


def test_too_few_files_have_status_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fed("--batch_num", "4") == 1
    assert "Total batches found: 3, but trying to load: 4." in capsys.readouterr().err


def test_files_of_another_size_have_status_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fed(shape=SHAPE.format(2)) == 1
    size = np.zeros((3, 3, 12, 12), np.float32).nbytes
    assert f"0.bin: it has {size} bytes" in capsys.readouterr().err


def test_inputs_that_the_network_has_not_are_told_which_it_has(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fed(shape="data:3,3,12,12;x:3,3,12,12") == 1
    assert "the network's are data, other" in capsys.readouterr().err


@pytest.mark.parametrize(
    "shape",
    ["{},8,12,12", "{},3,144", "{},3,12,12,1", "{},12,12,3"],
    ids=["channels", "three axes", "five axes", "nhwc"],
)
def test_a_shape_that_the_network_cannot_take_is_told_the_expected_one(
    folder: Path, shape: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fed(shape=f"data:{shape.format(3)};other:3,3,12,12") == 1
    assert "expected numbers of shape (N, 3, 12, 12)" in " ".join(capsys.readouterr().err.split())
    assert not Path("results").exists()


def test_a_size_that_a_layer_cannot_take_names_the_layer(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fed(shape="data:3,3,16,16;other:3,3,16,16") == 1
    assert "layer 'ip'" in " ".join(capsys.readouterr().err.split())
