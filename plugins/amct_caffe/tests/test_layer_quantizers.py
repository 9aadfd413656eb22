"""Which Caffe layers qualify, and what is said of those that do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from amct_caffe.frontend import CaffeFrontend
from amct_caffe.model.layer_types import LAYER_TYPES

CHECKS = {each.name: each.quantization.check for each in LAYER_TYPES if each.quantization}


def reason(tmp_path: Path, kind: str, parameters: str, shape: str = "2 3 8 8") -> str | None:
    """Return why the one layer of a network does not qualify, or None."""
    dims = " ".join(f"dim: {dim}" for dim in shape.split())
    (tmp_path / "n.prototxt").write_text(
        f'input: "data" input_shape {{ {dims} }}\n'
        f'layer {{ name: "layer" type: "{kind}" bottom: "data" top: "layer" {parameters} }}\n'
    )
    graph = CaffeFrontend().read(str(tmp_path / "n.prototxt")).test
    return CHECKS[kind](graph.node("layer"), graph)


QUALIFY = [
    ("Convolution", "convolution_param { num_output: 2 kernel_size: 1 }"),
    ("Convolution", "convolution_param { num_output: 3 kernel_size: 5 group: 3 dilation: 2 }"),
    ("Convolution", "convolution_param { num_output: 3 kernel_h: 1 kernel_w: 7 }"),
    ("Deconvolution", "convolution_param { num_output: 3 kernel_size: 4 stride: 2 }"),
    ("InnerProduct", "inner_product_param { num_output: 3 }"),
    ("Pooling", "pooling_param { pool: AVE kernel_size: 3 stride: 2 }"),
    ("Pooling", "pooling_param { pool: AVE kernel_size: 8 pad: 1 }"),
    ("Pooling", "pooling_param { pool: AVE kernel_h: 8 kernel_w: 4 }"),
]


@pytest.mark.parametrize(("kind", "parameters"), QUALIFY)
def test_these_qualify(tmp_path: Path, kind: str, parameters: str) -> None:
    assert reason(tmp_path, kind, parameters) is None


REFUSED = [
    ("Deconvolution", "convolution_param { num_output: 3 kernel_size: 2 dilation: 2 }", "dilation"),
    ("Deconvolution", "convolution_param { num_output: 3 kernel_size: 2 group: 3 }", "group is 3"),
    ("InnerProduct", "inner_product_param { num_output: 3 transpose: true }", "transpose is true"),
    ("InnerProduct", "inner_product_param { num_output: 3 axis: 2 }", "axis is 2; expected 1"),
    ("Pooling", "pooling_param { kernel_size: 3 }", "method is MAX; expected AVE"),
    ("Pooling", "pooling_param { pool: AVE global_pooling: true }", "global_pooling is true"),
    ("Pooling", "pooling_param { pool: AVE kernel_size: 8 }", "covers the whole input"),
    ("Pooling", "pooling_param { pool: AVE kernel_size: 2 stride: 5 }", "outside of its input"),
]


@pytest.mark.parametrize(("kind", "parameters", "said"), REFUSED)
def test_these_do_not_and_the_reason_names_what_was_found(
    tmp_path: Path, kind: str, parameters: str, said: str
) -> None:
    assert said in str(reason(tmp_path, kind, parameters))


def test_a_filter_over_three_axes_does_not(tmp_path: Path) -> None:
    parameters = "convolution_param { num_output: 2 kernel_size: 2 kernel_size: 2 kernel_size: 2 }"
    said = reason(tmp_path, "Convolution", parameters, shape="2 3 4 4 4")
    assert said == "its filter has 5 dimensions (axis 1); expected 4 (axis 1)."
