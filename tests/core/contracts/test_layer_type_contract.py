"""What is checked of layer types when a network is looked through for what can be quantized."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
import pytest

from amct_core.errors import PluginError
from amct_core.extensions import LayerType, Quantization, WeightAxes
from amct_core.extensions.frontend import NetworkViews
from amct_core.graph import Graph, Node
from amct_core.plugins import Registries
from amct_core.quantizable import find_quantizable
from tests import mistakes

Register = Callable[..., Registries]
GAINS = (np.ones(3, np.float32), np.zeros(3, np.float32))


def views(registered: Register, blobs: Any, declared: dict[str, Any]) -> NetworkViews:
    """Return a network with one layer of a plugin's type."""
    kind = LayerType(mistakes.NAME, **declared)
    found = registered("amct_layer_types", kind).layer_types.get(mistakes.NAME)
    nodes = [
        Node("data", "Input", (), ("data",)),
        Node("gain", found, ("data",), ("gain",), weights=blobs),
    ]
    graph = Graph("net", nodes)
    return NetworkViews(train=graph, test=graph)


def test_weights_of_a_quantizable_type_have_to_be_declared(registered: Register) -> None:
    network = views(registered, GAINS, {"quantization": Quantization()})
    with pytest.raises(PluginError) as caught:
        find_quantizable(network)
    said = ("weights, of shape (3,), (3,)", "expected weights=WeightAxes(output=...)")
    mistakes.message(caught.value, "layer type", "gain", said)


@pytest.mark.parametrize(
    ("blobs", "declared", "supported"),
    [
        (GAINS, {"quantization": Quantization(), "weights": WeightAxes(output=0)}, True),
        ((), {"quantization": Quantization()}, True),  # such as one that reverses channels
        (GAINS, {"quantization": Quantization(divisor=lambda node: 4)}, True),  # says it has none
        (GAINS, {}, False),
        (GAINS, {"quantization": Quantization(lambda node, graph: "it is another one.")}, False),
    ],
    ids=["declared", "no weights", "a divisor", "not quantizable", "a layer that does not qualify"],
)
def test_nothing_else_is_refused(
    registered: Register, blobs: Any, declared: dict[str, Any], supported: bool
) -> None:
    assert ("gain" in find_quantizable(views(registered, blobs, declared)).supported) == supported


@pytest.mark.parametrize(
    ("quantization", "post_training", "said"),
    [
        (Quantization(lambda node, graph: True), False, "check returned True; expected None, or"),
        (Quantization(lambda node, graph: 3), True, "check returned 3; expected None, or"),
        (
            Quantization(check_post_training=lambda node, graph: False),
            True,
            "check_post_training returned False; expected None, or",
        ),
        (Quantization(lambda node, graph: 1 / 0), False, "check failed with ZeroDivisionError"),
    ],
)
def test_a_check_that_gives_no_reason_is_an_error(
    registered: Register, quantization: Quantization, post_training: bool, said: str
) -> None:
    network = views(registered, (), {"quantization": quantization})
    with pytest.raises(PluginError) as caught:
        find_quantizable(network, post_training)
    mistakes.message(caught.value, "layer type", "gain", (said,))
