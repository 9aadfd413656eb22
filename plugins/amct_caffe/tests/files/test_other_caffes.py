"""Enum values that other Caffes have: kept where nobody needs them, refused where somebody does."""

from __future__ import annotations

import pytest

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_type import attributes_of
from amct_caffe.model.schema.encoding import encode
from amct_caffe.model.schema.pool import message_class
from amct_core.errors import ModelError

CONVOLUTION = """layer {
  name: "c"
  type: "Convolution"
  bottom: "data"
  top: "c"
  convolution_param {
    num_output: 3
    kernel_size: 3
    engine: MKL2017
  }
}
"""
LOSS = """layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "c"
  bottom: "label"
  loss_param {
    normalization: PRE_FIXED
  }
}
"""


def layer(text: str) -> Layer:
    """Return the one layer of ``text``."""
    (found,) = documents.from_text(text).layers
    return found


@pytest.mark.parametrize("text", [CONVOLUTION, LOSS])
def test_the_prototxt_keeps_them(text: str) -> None:
    assert documents.from_text(text).format() == text


def test_they_do_not_hinder_what_else_a_layer_says() -> None:
    assert attributes_of(layer(CONVOLUTION)).kernel == (3, 3)  # type: ignore[attr-defined]


def test_they_have_no_number_in_a_weights_file() -> None:
    written = message_class("LayerParameter").FromString(
        encode(layer(CONVOLUTION).message, "LayerParameter")
    )
    assert written.convolution_param.num_output == 3
    assert not written.convolution_param.HasField("engine")


def test_one_that_decides_what_is_computed_is_refused() -> None:
    pooling = layer(
        'layer { name: "p" type: "Pooling" bottom: "a" top: "p"\n'
        "pooling_param { pool: MEDIAN kernel_size: 2 } }"
    )
    with pytest.raises(ModelError, match="found MEDIAN; expected one of MAX, AVE, STOCHASTIC") as e:
        attributes_of(pooling)
    assert (e.value.layer, e.value.field) == ("p", "pooling_param.pool")
