"""Data that do not fit the network are refused before anything runs, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from amct_caffe.model.formats.caffemodel import writer
from amct_core.cli.main import cli

FILES = "net.prototxt", "net.caffemodel"

SIZES = "input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } }"
LAYERS = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 5 } }
"""
NETWORK = f'layer {{ name: "data" type: "Input" top: "data" {SIZES} }}\n{LAYERS}'
TWO = NETWORK + (
    f'layer {{ name: "other" type: "Input" top: "other" {SIZES} }}\n'
    'layer { name: "side" type: "Convolution" bottom: "other" top: "side" '
    "convolution_param { num_output: 4 kernel_size: 3 } }\n"
    'layer { name: "sum" type: "Eltwise" bottom: "conv" bottom: "side" top: "sum" }\n'
)
WITH_DATA_LAYER = (
    'layer { name: "data" type: "DummyData" top: "data" '
    'dummy_data_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } data_filler { type: "gaussian" } } }'
    f"\n{LAYERS}"
)

ENGINES = ["simulator", pytest.param("caffe", marks=pytest.mark.caffe)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with weights and a network of one input."""
    monkeypatch.chdir(tmp_path)
    Path(FILES[0]).write_text(NETWORK)
    generator = np.random.default_rng(3)
    shapes = {"conv": (4, 3, 3, 3), "side": (4, 3, 3, 3), "ip": (5, 4 * 6 * 6)}
    with open(FILES[1], "wb") as stream:
        writer.write(
            stream,
            "net",
            [
                (
                    name,
                    "InnerProduct" if name == "ip" else "Convolution",
                    [generator.normal(size=each).astype("f") for each in (shape, shape[:1])],
                )
                for name, shape in shapes.items()
            ],
        )
    return tmp_path


def quantized(engine: str, *options: str, **arrays: np.ndarray) -> tuple[int, str]:
    """Run ``amct ptq run``; return the exit status and what it printed."""
    if engine == "caffe":
        pytest.importorskip("caffe")
    if arrays:
        np.savez("x.npz", **arrays)
        options = ("--data", "x.npz", *options)
    run = ["ptq", "run", *FILES, "-o", "out", "--batch-num", "2", "--engine", engine, *options]
    done = CliRunner().invoke(cli, run, prog_name="amct")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return done.exit_code, f"{type(done.exception).__name__} {done.exception}"
    return done.exit_code, " ".join(done.output.split())


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(4).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "array",
    [
        numbers(4, 4, 8, 8),
        numbers(4, 8, 8, 3),
        numbers(4, 3, 64),
        numbers(4, 3, 1, 8, 8),
        np.array(["a", "b", "c", "d"]),
        numbers(4, 3, 8, 8) + 1j,
    ],
    ids=["channels", "nhwc", "three axes", "five axes", "text", "complex"],
)
def test_arrays_of_another_kind_are_told_the_expected_one(engine: str, array: np.ndarray) -> None:
    status, said = quantized(engine, data=array)
    assert status == 1
    assert f"array 'data' is {array.dtype} of shape {(2, *array.shape[1:])}" in said
    assert "expected numbers of shape (N, 3, 8, 8)" in said
    assert not Path("out").exists()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_size_of_image_that_a_layer_cannot_take_names_the_layer(engine: str) -> None:
    status, said = quantized(engine, data=numbers(4, 3, 9, 9))
    assert status == 1
    assert "layer 'ip'" in said
    assert "'data' (2, 3, 9, 9)" in said
    assert "The network declares 'data' (N, 3, 8, 8)" in said
    assert not Path("out").exists()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_size_of_image_that_all_layers_take_is_taken(engine: str) -> None:
    text = Path(FILES[0]).read_text()
    Path(FILES[0]).write_text(text[: text.index('layer { name: "ip"')])
    assert quantized(engine, data=numbers(4, 3, 9, 11))[0] == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_inputs_of_different_numbers_of_samples_do_not_add_up(engine: str) -> None:
    Path(FILES[0]).write_text(TWO)
    arrays = {"data": numbers(6, 3, 8, 8), "other": numbers(4, 3, 8, 8)}
    status, said = quantized(engine, **arrays)
    assert status == 1
    assert "layer 'sum'" in said
    assert "'data' (6, 3, 8, 8), 'other' (4, 3, 8, 8)" in said
    assert not Path("out").exists()


@pytest.mark.parametrize("engine", ENGINES)
def test_an_input_without_an_array_is_named(engine: str) -> None:
    Path(FILES[0]).write_text(TWO)
    status, said = quantized(engine, data=numbers(4, 3, 8, 8))
    assert status == 1
    assert "'other' would get nothing" in said
    assert not Path("out").exists()


@pytest.mark.caffe
def test_without_data_and_data_layers_there_is_nothing_to_calibrate_on() -> None:
    status, said = quantized("caffe")
    assert status == 1
    assert "there are no data for 'data': no data layer brings them in" in said
    assert not Path("out").exists()


@pytest.mark.caffe
def test_data_that_a_data_layer_would_replace_are_refused() -> None:
    Path(FILES[0]).write_text(WITH_DATA_LAYER)
    assert quantized("caffe")[0] == 0
    assert quantized("simulator", data=numbers(4, 3, 8, 8))[0] == 0
    status, said = quantized("caffe", data=numbers(4, 3, 8, 8))
    assert status == 1
    assert "--engine simulator" in said
