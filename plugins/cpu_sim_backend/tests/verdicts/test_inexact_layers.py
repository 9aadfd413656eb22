"""Which float layers before a blob equal Caffe only approximately."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpu_sim_backend import Simulator
from plugins.cpu_sim_backend.tests.verdicts.in_caffe import save
from tests.conformance.runner import deployable

pytestmark = pytest.mark.caffe

TWO_TOPS = """
layer { name: "data" type: "Input" top: "data" top: "more" input_param {
  shape { dim: 2 dim: 3 dim: 8 dim: 8 } shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "both" type: "Convolution" bottom: "data" bottom: "more" top: "one" top: "other"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "sum" type: "Eltwise" bottom: "one" bottom: "other" top: "sum" }
layer { name: "head" type: "InnerProduct" bottom: "sum" top: "head"
  inner_product_param { num_output: 5 } }
"""


def test_a_layer_with_several_tops_is_named_once(tmp_path: Path) -> None:
    saved = save(tmp_path, TWO_TOPS)
    assert Simulator(*deployable(saved.prefix)).inexact_layers("sum") == ("both",)
