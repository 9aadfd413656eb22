"""``amct verify`` compares the sets of quantized layers before it compares integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterable

import numpy as np
import pytest

from amct_caffe.model.formats.prototxt import document as documents
from amct_core.plugins import registries
from amct_core.workflow import frontend_for
from cpu_sim_backend.verify import verify
from plugins.cpu_sim_backend.tests.integers.corrupting import Saved, quantized, save
from tests.conformance.weights import write_random_weights

TWO_HEADS = """
layer { name: "data" type: "Input" top: "data" input_param { shape {
  dim: 2 dim: 3 dim: 6 dim: 6 } } }
layer { name: "one" type: "Convolution" bottom: "data" top: "one"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "left" type: "InnerProduct" bottom: "one" top: "left"
  inner_product_param { num_output: 5 } }
layer { name: "right" type: "InnerProduct" bottom: "one" top: "right"
  inner_product_param { num_output: 2 } }
"""


@pytest.fixture
def two_heads(tmp_path: Path) -> Saved:
    """Return a saved network that ends in two quantized layers."""
    (tmp_path / "n.prototxt").write_text(TWO_HEADS)
    write_random_weights(str(tmp_path / "n.prototxt"), tmp_path / "n.caffemodel")
    return quantized(tmp_path, data=np.ones((3, 3, 6, 6), np.float32))


def without(saved: Saved, model: str, layers: Iterable[str], **bottoms: str) -> None:
    """Take layers out of a saved model; ``bottoms`` are what others read instead."""
    path = f"{saved.prefix}_{model}_model.prototxt"
    document = documents.read(path)
    gone = set(layers)
    kept = [layer for layer in document.layers if layer.name not in gone]
    assert len(kept) == len(document.layers) - len(gone)
    for layer in kept:
        if layer.name in bottoms:
            layer.bottoms = [bottoms[layer.name]]
    Path(path).write_text(documents.NetDocument.create(document.name, kept).format())


RIGHT = ("right", "right_dequant_layer")
TWO = ("two_0_quant_layer", "two", "two_dequant_layer")


@pytest.mark.caffe
def test_a_head_that_only_the_fake_quant_model_has_is_named(two_heads: Saved, capsys: Any) -> None:
    assert two_heads.verify(capsys).exit_code == 0
    without(two_heads, "deploy", RIGHT)
    found = two_heads.verify(capsys)
    assert (found.exit_code, found.report["missing_layers"]) == (1, ["right"])
    assert (found.report["exact"], found.report["exact_integers"]) == (False, False)
    assert [layer["name"] for layer in found.report["layers"]] == ["one", "left"]
    assert found.layer("left")["accumulator_mismatches"] == 0


@pytest.mark.caffe
def test_a_head_that_only_the_deployable_model_has_is_named(two_heads: Saved, capsys: Any) -> None:
    without(two_heads, "fake_quant", RIGHT)
    found = two_heads.verify(capsys)
    assert (found.exit_code, found.report["missing_layers"]) == (1, ["right"])


@pytest.mark.caffe
def test_a_layer_in_the_middle_is_named_though_the_rest_cannot_run(
    tmp_path: Path, capsys: Any
) -> None:
    saved = save(tmp_path)
    without(saved, "deploy", TWO, pool="one")
    found = saved.verify(capsys)
    assert (found.exit_code, found.report["missing_layers"]) == (1, ["two"])


def test_without_caffe_they_are_named_as_well(two_heads: Saved) -> None:
    pytest.importorskip("numba")
    data = {"data": np.ones((1, 3, 6, 6), np.float32)}
    assert verify(two_heads.prefix, data, against="reference").passed
    without(two_heads, "deploy", RIGHT)
    report = verify(two_heads.prefix, data, against="reference")
    assert (report.missing_layers, report.passed, report.exact) == (("right",), False, False)


def test_the_fake_quant_model_itself_says_what_is_quantized(tmp_path: Path) -> None:
    saved = save(tmp_path)
    model = f"{saved.prefix}_fake_quant_model.prototxt"
    frontend = frontend_for(model, registries())
    assert frontend.fake_quant_layers(saved.prefix) == ("one", "two", "three")
