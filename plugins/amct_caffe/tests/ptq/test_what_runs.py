"""Networks that post-training quantization cannot run as they are, and what it says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np
import pytest
from click.testing import CliRunner

from amct_caffe.model.formats.caffemodel import writer
from amct_core.cli.main import cli
from amct_core.errors import ModelError
from amct_core.extensions import NetworkPass
from amct_core.graph import Pass
from amct_core.plugins import registries
from amct_core.ptq import workflow
from amct_core.workflow import frontend_for
from tests import mistakes

FILES = "net.prototxt", "net.caffemodel"

LAYER = 'layer { name: "data" type: "Python" top: "data" python_param { module: "%s" layer: "F" } }'
SLICED = """
layer { name: "cut" type: "Slice" bottom: "data" top: "a" top: "b" }
layer { name: "conv" type: "Convolution" bottom: "a" top: "conv"
  convolution_param { num_output: 3 kernel_size: 3 } }
layer { name: "conv2" type: "Convolution" bottom: "b" top: "conv2"
  convolution_param { num_output: 3 kernel_size: 3 } }
layer { name: "sum" type: "Eltwise" bottom: "conv" bottom: "conv2" top: "sum" }
"""
FEED = """
import caffe, numpy
class F(caffe.Layer):
    def setup(self, bottom, top):
        self.numbers = numpy.random.RandomState(0)
    def reshape(self, bottom, top):
        top[0].reshape(2, 2, 8, 8)
    def forward(self, bottom, top):
        top[0].data[...] = self.numbers.randn(2, 2, 8, 8)
    def backward(self, top, propagate_down, bottom):
        pass
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    generator = np.random.default_rng(3)
    shapes = [(3, 1, 3, 3), (3,)]
    with open(FILES[1], "wb") as stream:
        writer.write(
            stream,
            "net",
            [
                (
                    name,
                    "Convolution",
                    [generator.normal(size=shape).astype("f") for shape in shapes],
                )
                for name in ("conv", "conv2")
            ],
        )
    return tmp_path


def amct(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, arguments, prog_name="amct")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return done.exit_code, f"{type(done.exception).__name__} {done.exception}"
    return done.exit_code, " ".join(done.output.split())


def fed_by(module: str) -> None:
    Path(FILES[0]).write_text(LAYER % module + SLICED)


@pytest.mark.caffe
def test_what_calibration_sees_of_a_data_layer_is_saved_with_the_model() -> None:
    pytest.importorskip("caffe")
    fed_by("feed_that_is_sliced")
    Path("feed_that_is_sliced.py").write_text(FEED)
    assert amct("ptq", "run", *FILES, "-o", "out")[0] == 0
    deployed = Path("out/result/model_deploy_model.prototxt")
    graph = frontend_for(str(deployed), registries()).read_deployed(str(deployed))
    assert graph.node("data").attributes.shapes == ((1, 2, 8, 8),)


@pytest.mark.caffe
def test_saving_in_another_process_is_told_the_shape() -> None:
    pytest.importorskip("caffe")
    fed_by("feed_that_is_saved")
    Path("feed_that_is_saved.py").write_text(FEED)
    assert amct("ptq", "config", *FILES, "-o", "c.json")[0] == 0
    assert amct("ptq", "calibrate", *FILES, "-c", "c.json", "-o", "out")[0] == 0
    save = ("ptq", "save", *FILES, "-c", "c.json", "--record", "out/record.txt")
    status, said = amct(*save, "--save-path", "m")
    assert status == 1
    assert "--input-shape data:N,C,H,W" in said
    convert = ("convert", *FILES, "--record", "out/record.txt")
    for command in (save, convert):
        name = command[-3]
        given = ("--save-path", f"{command[0]}_m", "--input-shape", "data:4,2,8,8")
        assert amct(*command, *given)[0] == 0, name
        deployed = f"{command[0]}_m_deploy_model.prototxt"
        graph = frontend_for(deployed, registries()).read_deployed(deployed)
        assert graph.node("data").attributes.shapes == ((4, 2, 8, 8),)
    status, said = amct(*save, "--save-path", "m", "--input-shape", "dat:4,2,8,8")
    assert status == 1
    assert "'dat', which is no input" in said


@pytest.mark.caffe
def test_a_class_that_cannot_be_imported_is_named_with_its_layer() -> None:
    pytest.importorskip("caffe")
    fed_by("no_such_module_of_data")
    status, said = amct("ptq", "run", *FILES, "-o", "out")
    assert status == 1
    assert "layer 'data'" in said
    assert "module 'no_such_module_of_data' cannot be imported" in said
    assert not Path("out").exists()


@pytest.mark.caffe
def test_a_data_layer_that_is_fed_by_hand_or_lacks_its_file_is_named() -> None:
    pytest.importorskip("caffe")
    for layer, words in (
        ("MemoryData", "brings no data by itself"),
        ('ImageData" image_data_param { source: "nowhere.txt" } #', "there is no 'nowhere.txt'"),
    ):
        kind = layer.split('"')[0]
        parameters = layer[len(kind) + 1 :].rstrip("# ")
        sizes = "" if parameters else "batch_size: 2 channels: 2 height: 8 width: 8"
        memory = "" if parameters else f"memory_data_param {{ {sizes} }}"
        Path(FILES[0]).write_text(
            f'layer {{ name: "data" type: "{kind}" top: "data" top: "label" {parameters}{memory} }}'
            + SLICED
        )
        status, said = amct("ptq", "run", *FILES, "-o", "out")
        assert status == 1
        assert words in said
        assert not Path("out").exists()


def test_a_network_that_only_a_solver_completes_says_so() -> None:
    shape = "dummy_data_param { shape { dim: 2 dim: 2 dim: 8 dim: 8 } }"
    data = 'layer { name: "data" type: "DummyData" top: "data" include { phase: %s } ' + shape + "}"
    Path(FILES[0]).write_text(data % "TRAIN" + data % 'TEST stage: "val"' + SLICED)
    frontend = frontend_for(FILES[0], registries())
    with pytest.raises(ModelError, match=r"reads 'data', which no layer before it makes.*stage"):
        frontend.read_for_inference(*FILES)
    for command in (("config", *FILES, "-o", "c.json"), ("run", *FILES, "-o", "out")):
        status, said = amct("ptq", *command)
        assert status == 1
        assert 'state { stage: "..." }' in said
        assert "--solver" not in said
    assert not Path("out").exists()
    text = Path(FILES[0]).read_text()
    Path(FILES[0]).write_text('state { stage: "val" }\n' + text)
    assert frontend.read_for_inference(*FILES).test.node("data") is not None


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Return a function that installs a plugin."""
    yield from mistakes.installed(monkeypatch)


def test_passes_of_plugins_do_not_run_and_that_is_said(
    install: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    place = "before insertion"
    install(
        "amct_passes",
        NetworkPass("slopes", "caffe", place, mistakes._fails),
        NetworkPass("narrow", "caffe", "after training", mistakes._fails),
        NetworkPass("else", "torch", place, mistakes._fails),
    )
    data = 'layer { name: "data" type: "Input" top: "data" input_param { shape { %s } } }'
    Path(FILES[0]).write_text(data % "dim: 2 dim: 2 dim: 8 dim: 8" + SLICED)
    assert amct("ptq", "config", *FILES, "-o", "c.json")[0] == 0
    workflow.start("c.json", *FILES, "record.txt")
    (warning,) = [each.getMessage() for each in caplog.records if "passes" in each.getMessage()]
    assert warning == (
        "passes of plugins run in quantization-aware training only; not in post-training "
        "quantization, as here: 'narrow' (plugin 'mine'), 'slopes' (plugin 'mine')"
    )


class WithoutCut(Pass[Any]):
    """1. The layer goes whose outputs both convolutions read."""

    def run(self, state: Any) -> Any:
        state.document.layers = [each for each in state.document.layers if each.name != "cut"]
        return state


def test_a_network_that_a_pass_has_broken_is_not_written(install: Callable[..., Any]) -> None:
    install("amct_passes", NetworkPass("narrow", "caffe", "before insertion", WithoutCut))
    data = 'layer { name: "data" type: "Input" top: "data" input_param { shape { %s } } }'
    Path(FILES[0]).write_text(data % "dim: 2 dim: 2 dim: 8 dim: 8" + SLICED)
    assert amct("qat", "config", *FILES, "-o", "c.json")[0] == 0
    status, said = amct("qat", "insert", *FILES, "-c", "c.json", "-o", "q")
    assert status == 1
    assert "plugin 'mine', pass 'narrow': after run, layer 'conv' reads 'a', which no" in said
    assert not Path("q").exists() or not list(Path("q").iterdir())
