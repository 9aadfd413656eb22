"""Running a saved fake-quant model on arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amct_core.errors import ModelError

pytestmark = pytest.mark.caffe

LAYERS = """
layer { name: "relu" type: "ReLU" bottom: "x" top: "y" }
layer { name: "twice" type: "Scale" bottom: "y" top: "z" scale_param { axis: 0 num_axes: 0 } }
"""
INPUT = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 7 dim: 3 } } }'
DATA = (
    'layer { name: "in" type: "DummyData" top: "x" top: "label" '
    "dummy_data_param { shape { dim: 7 dim: 3 } shape { dim: 7 } } }"
)


def executor(folder: Path, source: str) -> Any:
    """Return the executor of a model that is saved below ``folder``."""
    from amct_caffe.frontend import CaffeFrontend
    from amct_caffe.model.formats.caffemodel import writer

    (folder / "m_fake_quant_model.prototxt").write_text(source + LAYERS)
    with open(folder / "m_fake_quant_weights.caffemodel", "wb") as stream:
        writer.write(stream, "net", [("twice", "Scale", [np.array(2, np.float32)])])
    return CaffeFrontend().fake_quant_executor(str(folder / "m"))


@pytest.mark.parametrize("source", [INPUT, DATA], ids=["Input", "data layer"])
def test_the_arrays_decide_the_shapes_whatever_the_model_says(tmp_path: Path, source: str) -> None:
    run = executor(tmp_path, source)
    assert list(run.inputs) == ["x"]
    for shape in ((2, 3), (5, 3), (2, 4), (1, 2, 2)):
        x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
        blobs = run.run({"x": x}, ["y", "z"])
        np.testing.assert_array_equal(blobs["z"], 2 * np.maximum(x, 0))
        assert blobs["y"].shape == shape


def test_missing_data_and_blobs_are_errors_that_name_them(tmp_path: Path) -> None:
    run = executor(tmp_path, INPUT)
    with pytest.raises(ModelError, match=r"no data for the inputs \['x'\]"):
        run.run({"data": np.zeros((1, 3))}, ["z"])
    with pytest.raises(ModelError, match=r"no blobs \['w'\]"):
        run.run({"x": np.zeros((1, 3))}, ["w"])
