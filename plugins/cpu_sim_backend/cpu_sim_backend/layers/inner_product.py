"""InnerProduct, in integers and in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import LayerSimulator
from amct_core.graph import Node
from amct_core.graph.attributes import InnerProduct
from cpu_sim_backend.layers.products import add_bias, matmul

Array = NDArray[Any]


def inner_product(node: Node, x: Array) -> Array:
    """Return ``x`` flattened from its axis on, times the weights (num_output, K), plus the bias."""
    a = node.attributes
    assert isinstance(a, InnerProduct)
    weights = node.weights[0].T if a.transpose else node.weights[0]
    axis = a.axis if a.axis >= 0 else x.ndim + a.axis
    outer = x.shape[:axis]
    rows = x.reshape(int(np.prod(outer)), -1)
    result = matmul(np.ascontiguousarray(weights), rows.T).T
    if len(node.weights) > 1:
        result = add_bias(result, node.weights[1])
    return result.reshape(*outer, weights.shape[0])


SIMULATORS = (
    LayerSimulator(
        layer_type="InnerProduct",
        run=lambda node, inputs: [inner_product(node, x) for x in inputs],
        accumulate=inner_product,
        exact=False,
    ),
)
"""Float results depend on the order in which a BLAS adds; integers do not."""
