"""An AVE Pooling that rounds its size down is deployed as it is, however its Caffe spells that.

BVLC's Caffe says ``round_mode: FLOOR``, others say ``ceil_mode: false``; what ATC reads is
``round_mode`` alone (reference: pooling_plugin.cc).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_core import workflow
from cpu_sim_backend import Simulator
from tests.conformance.runner import pretend_training
from tests.conformance.weights import write_random_weights

NETWORK = """
layer {{ name: "data" type: "Input" top: "data" input_param {{
  shape {{ dim: 2 dim: 3 dim: 6 dim: 7 }} }} }}
layer {{ name: "mean" type: "Pooling" bottom: "data" top: "mean"
  pooling_param {{ pool: AVE kernel_size: 3 stride: 2 {rounding} }} }}
layer {{ name: "largest" type: "Pooling" bottom: "data" top: "largest"
  pooling_param {{ pool: MAX kernel_size: 3 stride: 2 {rounding} }} }}
layer {{ name: "sum" type: "Eltwise" bottom: "mean" bottom: "largest" top: "sum" }}
"""
SPELLINGS = ["round_mode: FLOOR", "ceil_mode: false"]


@pytest.fixture(params=SPELLINGS)
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the prefix of the models, saved without Caffe."""
    model, weights, config = (str(tmp_path / n) for n in ("n.prototxt", "n.caffemodel", "c.json"))
    Path(model).write_text(NETWORK.format(rounding=request.param))
    write_random_weights(model, Path(weights))
    workflow.create_config(model, weights, config)
    modified = [str(tmp_path / f"modified.{end}") for end in ("prototxt", "caffemodel")]
    record, prefix = str(tmp_path / "record.txt"), str(tmp_path / "saved")
    workflow.insert(model, weights, config, *modified, record)
    pretend_training(tmp_path)
    snapshot = str(tmp_path / "snapshot.caffemodel")
    workflow.save(modified[0], snapshot, prefix, "Both", record, config)
    return prefix


def layer(file: str, name: str) -> Layer:
    return documents.read(file).by_name()[name][0]


def test_the_fake_quant_models_dequant_knows_that_it_does(saved: str) -> None:
    dequant = layer(f"{saved}_fake_quant_model.prototxt", "mean_dequant_layer")
    written = json.loads(dequant.parameters("python_param").string("param_str") or "")
    assert written["window"]["ceil_mode"] is False


@pytest.mark.parametrize("name", ["mean", "largest"])
def test_atc_is_told_with_the_field_that_it_reads(saved: str, name: str) -> None:
    parameters = layer(f"{saved}_deploy_model.prototxt", name).parameters("pooling_param")
    assert parameters.enum("round_mode") == "FLOOR"
    assert not parameters.has("ceil_mode")


def test_simulation_and_onnx_leave_the_last_column_out(saved: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from cpu_sim_backend.onnx_export import export

    x = np.random.default_rng(1).normal(0, 1, (2, 3, 6, 7)).astype(np.float32)
    x[..., 5, :] = 100.0  # row 5 is in no window
    files = f"{saved}_deploy_model.prototxt", f"{saved}_deploy_weights.caffemodel"
    found = {engine: Simulator(*files, engine).run({"data": x}) for engine in ("reference", "auto")}
    output = found["reference"]["sum"]
    assert output.shape == (2, 3, 2, 3)
    assert output.max() < 10
    np.testing.assert_array_equal(found["auto"]["sum"], output)
    session = onnxruntime.InferenceSession(
        export(Simulator(*files).graph).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    np.testing.assert_array_equal(session.run(["sum"], {"data": x})[0], output)


def test_a_window_written_before_rounding_down_was_known_rounds_up() -> None:
    from amct_caffe.qat.parameters import DequantParameters, from_param_str

    text = (
        '{"scale_count": 1, "bias_count": 0, '
        '"window": {"kernel": [2, 2], "stride": [2, 2], "pad": [0, 0]}}'
    )
    window = from_param_str(DequantParameters, text).window
    assert window is not None and window.ceil_mode
