"""Data, loss and accuracy layers: taken out for ATC, or left in on request."""

from __future__ import annotations

from pathlib import Path

import pytest

from amct_caffe.model.formats.prototxt import document as documents
from amct_core import workflow
from tests.conformance.runner import pretend_training
from tests.conformance.weights import write_random_weights

NETWORK = """
layer { name: "source" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 2 dim: 3 dim: 4 dim: 4 } shape { dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 5 } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy"
  include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""

QUANTIZED = [("ip_0_quant_layer", "Quant"), ("ip", "InnerProduct"), ("ip_dequant_layer", "DeQuant")]


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        ("ascend", [("data", "Input"), *QUANTIZED, ("loss", "Softmax")]),
        (
            "ascend_with_training_layers",
            [
                ("source", "DummyData"),
                *QUANTIZED,
                ("accuracy", "Accuracy"),
                ("loss", "SoftmaxWithLoss"),
            ],
        ),
    ],
)
def test_the_backend_decides(tmp_path: Path, backend: str, expected: list[tuple[str, str]]) -> None:
    model, weights, config = (str(tmp_path / n) for n in ("n.prototxt", "n.caffemodel", "c.json"))
    Path(model).write_text(NETWORK)
    write_random_weights(model, Path(weights))
    workflow.create_config(model, weights, config)
    modified = [str(tmp_path / f"modified.{end}") for end in ("prototxt", "caffemodel")]
    record = str(tmp_path / "record.txt")
    workflow.insert(model, weights, config, *modified, record)
    pretend_training(tmp_path)
    snapshot, prefix = str(tmp_path / "snapshot.caffemodel"), str(tmp_path / "saved")
    workflow.save(modified[0], snapshot, prefix, "Deploy", record, config, backend)
    layers = documents.read(f"{prefix}_deploy_model.prototxt").layers
    assert [(layer.name, layer.type) for layer in layers] == expected
