"""Plugins that break their contracts in post-training quantization: one message, and no record."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np
import pytest

from amct_caffe.model.formats.caffemodel import writer
from amct_core.errors import PluginError
from amct_core.extensions import WeightRounding
from amct_core.ptq import configuration, workflow
from amct_core.ptq.improvements.weight_rounding import with_rounding
from cpu_sim_backend.ptq import SimulatorEngine
from tests import mistakes

FILES = "net.prototxt", "net.caffemodel"
ENGINE = SimulatorEngine("reference")
NETWORK = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 6 dim: 6 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 5 } }
"""
SHAPES = {"conv": ("Convolution", (4, 3, 3, 3)), "ip": ("InnerProduct", (5, 64))}

Install = Callable[..., Any]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that installs a plugin."""
    yield from mistakes.installed(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with a network."""
    monkeypatch.chdir(tmp_path)
    Path(FILES[0]).write_text(NETWORK)
    generator = np.random.default_rng(3)
    layers = [
        (name, kind, [generator.normal(size=size).astype("f") for size in (shape, shape[0])])
        for name, (kind, shape) in SHAPES.items()
    ]
    with open(FILES[1], "wb") as stream:
        writer.write(stream, "net", layers)
    return tmp_path


def batches() -> list[dict[str, Any]]:
    generator = np.random.default_rng(4)
    return [{"data": generator.normal(size=(2, 3, 6, 6)).astype("f")} for _ in range(2)]


def network() -> workflow.PtqNetwork:
    simplified = configuration.simplified_config(batch_num=2, act_algo="min_max")
    configuration.create_ptq_config(*FILES, "c.json", simplified)
    return workflow.start("c.json", *FILES, "record.txt")


def calibrate() -> None:
    workflow.calibrate(workflow.start("c.json", *FILES, "record.txt"), batches(), ENGINE)


@pytest.mark.parametrize("name", mistakes.CALIBRATORS)
def test_a_mistake_of_a_calibrator_ends_calibration(
    folder: Path, install: Install, name: str
) -> None:
    mistake = mistakes.CALIBRATORS[name]
    install("amct_calibrators", mistake.extension)
    simplified = configuration.simplified_config(batch_num=2, act_algo=mistakes.NAME)
    configuration.create_ptq_config(*FILES, "c.json", simplified)
    with pytest.raises(PluginError) as caught:
        calibrate()  # one that cannot start is refused as soon as it is configured
    mistakes.message(caught.value, "calibrator", "conv", mistake.said)
    record = folder / "record.txt"
    assert not record.exists() or "scale_d" not in record.read_text()


@pytest.mark.parametrize("name", mistakes.SHIFTS)
def test_a_mistake_of_a_search_ends_calibration(folder: Path, install: Install, name: str) -> None:
    mistake = mistakes.SHIFTS[name]
    install("amct_shift_searches", mistake.extension)
    opened = network()
    before = sorted(folder.iterdir())
    with pytest.raises(PluginError) as caught:
        workflow.calibrate(opened, batches(), ENGINE, mistakes.NAME)
    mistakes.message(caught.value, "shift-N search", "conv", mistake.said)
    assert sorted(folder.iterdir()) == before


ROUNDINGS = {
    "floats": (lambda nearest: nearest.astype(np.float32), ("result gave float32 (", "int8 (")),
    "a wrong shape": (lambda nearest: nearest[:, :1], ("result gave int8 (", "expected int8 (")),
    "two steps": (
        lambda nearest: np.where(nearest > 0, nearest - 2, nearest).astype(np.int8),
        ("where the nearest integer is", "at most 1 from the nearest"),
    ),
    "an exception": (lambda nearest: 1 // 0, ("result failed with ZeroDivisionError",)),
}


@pytest.mark.parametrize("name", ROUNDINGS)
def test_a_mistake_of_a_rounding_names_its_plugin(
    folder: Path, install: Install, name: str
) -> None:
    made, said = ROUNDINGS[name]

    class Rounding:
        def __init__(self, weights: Any, scale_w: Any, nearest: Any) -> None:
            self.nearest = nearest

        def observe(self, columns: Any) -> None:
            pass

        def result(self) -> Any:
            return made(self.nearest)

    given = WeightRounding(name=mistakes.NAME, start=Rounding)
    rounding = install("amct_weight_roundings", given).weight_roundings.get(mistakes.NAME)
    opened = network()
    workflow.calibrate(opened, batches(), ENGINE)
    model = workflow.quantized(opened)
    with pytest.raises(PluginError) as caught:
        with_rounding(model, batches(), ENGINE, rounding)
    mistakes.message(caught.value, "weight rounding", "conv", said)
