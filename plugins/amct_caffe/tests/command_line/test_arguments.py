"""The options of ``amct_caffe calibration``, and the values that they hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from amct_caffe.command_line.arguments import parse
from amct_caffe.common.cmd_line_utils import arguments_handler, data_handler
from amct_core.errors import FileFormatError

MODEL = ("calibration", "--model", "m", "--weights=w", "--save_path", "r/p")
DATA = ("--input_shape", "data:1,3,4,4", "--data_dir", "d", "--data_types", "float32")


def test_the_options_as_the_sample_of_amct_writes_them() -> None:
    data = ("--input_shape", "data:1,3,224,224", "--data_type", "float32", "--data_dir", "d/c")
    found = parse([*MODEL, *data])
    assert (found.model, found.weights, found.save_path, found.batch_num) == ("m", "w", "r/p", 1)
    assert found.data is not None
    assert dict(found.data.shapes) == {"data": [1, 3, 224, 224]}
    assert (found.data.paths, found.data.types) == (("d/c",), ("float32",))


def test_several_inputs_are_separated_by_semicolons() -> None:
    shapes = arguments_handler.process_data_shape("scope:0:1,3,8,8; b:2,5;")
    assert shapes == {"scope:0": [1, 3, 8, 8], "b": [2, 5]}
    assert arguments_handler.process_multi_data_path("d1/;d2/") == ["d1/", "d2/"]
    assert arguments_handler.process_data_types("int8;bool") == ["int8", "bool"]


@pytest.mark.parametrize("text", ["data", "data:", ":1,3", "data:1,x", "data:0,3", "a:1;a:2", ""])
def test_a_shape_that_is_none_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="Invalid input_shape"):
        arguments_handler.process_data_shape(text)


def test_an_unknown_element_type_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"Unsupported data type\[float8\]!"):
        arguments_handler.process_data_types("float8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*MODEL, *DATA, "--evaluator", "e.py"), "--evaluator: not allowed with"),
        (MODEL, "required: --input_shape, --data_dir, --data_types"),
        ((*MODEL, *DATA[:4]), "required: --data_types"),
        ((*MODEL, *DATA, "--batch_num", "2", "--calibration_config", "c"), "not allowed with"),
        ((*MODEL, *DATA, "--batch_num", "0"), "expected an integer from 1"),
        ((*MODEL, *DATA, "--gpu_id", "-1"), "--gpu_id"),
        ((*MODEL, *DATA[:2], "--data_dir", "a;b", *DATA[4:]), "one for each of the 1 inputs"),
        ((*MODEL, *DATA[:5], "float8"), "Unsupported data type[float8]!"),
        (("calibration", *DATA), "--model"),
        ((), "calibration"),
        ((*MODEL, *DATA, "--surprise"), "--surprise"),
    ],
)
def test_wrong_usage_has_status_2_and_says_what(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(arguments)
    assert stopped.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("option", ["--help", "--h", "-h"])
def test_help_has_status_0(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(["calibration", option])
    assert stopped.value.code == 0
    assert "--calibration_config" in capsys.readouterr().out


def test_python_m_amct_caffe_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "amct_caffe", "calibration"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "amct_caffe calibration: error" in done.stderr


def test_batches_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, value in (("b.bin", 2), ("a.bin", 1), ("10.bin", 0), ("readme.txt", 9)):
        np.full((2, 3), value, np.uint8).tofile(tmp_path / name)
    batches = data_handler.load_data({"x": [2, 3]}, [str(tmp_path)], ["uint8"], 3)
    found = [batch["x"] for batch in batches]
    assert [array[0, 0] for array in found] == [0, 1, 2]
    assert {(array.shape, array.dtype.name) for array in found} == {((2, 3), "uint8")}


def test_too_few_batches_are_a_runtime_error_before_any_is_read(tmp_path: Path) -> None:
    np.zeros(6, np.float32).tofile(tmp_path / "a.bin")
    message = "Total batches found: 1, but trying to load: 2."
    with pytest.raises(RuntimeError, match=message):
        data_handler.load_data({"x": [2, 3]}, [str(tmp_path)], ["float32"], 2)


def test_an_image_file_is_named_with_its_size_and_the_size_expected(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8" * 50)
    batches = data_handler.load_data({"x": [1, 3, 8, 8]}, [str(tmp_path)], ["float32"], 1)
    with pytest.raises(FileFormatError, match=r"a\.jpg: it has 100 bytes; .* has 768"):
        next(batches)
