"""A float layer's long sums are rounded once: no order of additions shows in them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from amct_caffe.model.layer_types.convolution import convolve
from amct_caffe.model.layer_types.inner_product import inner_product
from amct_core.graph import Node
from amct_core.graph.attributes import Convolution, InnerProduct

Array = NDArray[Any]


def node(attributes: Any, *weights: Array) -> Node:
    return Node("layer", type(attributes).__name__, ("x",), ("y",), attributes, weights)


def rounded_sum(x: Array, w: Array, bias: Array) -> np.float32:
    """Return the sum of products, exact and rounded to float32, and the bias added in float32."""
    products = x.astype(np.float64).ravel() * w.astype(np.float64).ravel()  # 48 bits: exact
    return np.float32(math.fsum(products)) + np.float32(bias)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_convolution_over_many_channels(random: np.random.Generator) -> None:
    x = random.standard_normal((2, 256, 4, 5)).astype(np.float32)
    weights = random.standard_normal((6, 256, 3, 3)).astype(np.float32)
    bias = random.standard_normal(6).astype(np.float32)
    attributes = Convolution(6, kernel=(3, 3), stride=(1, 1), pad=(0, 0), dilation=(1, 1))
    found = convolve(node(attributes, weights, bias), x)
    expected = [
        rounded_sum(x[image, :, top : top + 3, left : left + 3], weights[output], bias[output])
        for image, output, top, left in np.ndindex(2, 6, 2, 3)
    ]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.ravel(), expected)


def test_a_classifier_over_many_inputs(random: np.random.Generator) -> None:
    x = random.standard_normal((3, 4096)).astype(np.float32)
    weights = random.standard_normal((10, 4096)).astype(np.float32)
    bias = random.standard_normal(10).astype(np.float32)
    found = inner_product(node(InnerProduct(num_output=10), weights, bias), x)
    expected = [
        rounded_sum(row, weights[output], bias[output]) for row in x for output in range(10)
    ]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.ravel(), expected)
