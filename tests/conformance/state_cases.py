"""Networks whose layers depend on stages and levels, which a solver or the network itself gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.conformance.building import (
    TEST,
    TRAIN,
    batch_norm,
    convolution,
    inner_product,
    loss,
    relu,
    source,
)
from tests.conformance.case import Case

CASES: list[Case] = []
SPECIAL = 'stage: "special"'


def case(*quantized: str, **facts: Any) -> Callable[..., Any]:
    """Register the function below as a case of its name."""

    def register(build: Any) -> Any:
        CASES.append(Case(build.__name__.replace("_", " "), build, quantized, **facts))
        return build

    return register


def leaky(n: Any, L: Any, top: Any, **rule: Any) -> Any:
    """Add a layer in place."""
    n.leaky = L.ReLU(top, negative_slope=0.5, in_place=True, **rule)
    return n.leaky


@case(
    *("conv1", "conv2"),
    solver=f"train_state {{ {SPECIAL} }} test_state {{ level: 2 {SPECIAL} }}",
)
def layers_of_the_stage_of_the_solver(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = convolution(n, L, data, "conv1", 4)
    top = leaky(n, L, top, include=dict(stage="special"))
    top = relu(n, L, top, "relu", in_place=True)
    top = convolution(n, L, top, "conv2", 2)
    n.plain = L.Softmax(top, exclude=dict(stage="special"))
    n.prob = L.Softmax(top, include=dict(phase=TEST, stage="special", min_level=2, max_level=2))
    loss(n, L, top)


@case("conv1", "conv2", fields=f"state {{ level: 1 {SPECIAL} }}\n")
def layers_of_the_state_of_the_network(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = convolution(n, L, data, "conv1", 4)
    top = leaky(n, L, top, include=dict(stage="special", max_level=0))
    n.magnitude = L.AbsVal(top, include=dict(stage="special", min_level=1))
    top = convolution(n, L, n.magnitude, "conv2", 2)
    loss(n, L, top)


@case(
    *("deep", "fc"),
    fields='state { stage: "own" }\n',
    solver='train_state { stage: "t" } test_state { stage: "v" }',
)
def quantized_layers_of_merged_stages_with_other_layers_in_training(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    n.shallow = L.Convolution(data, num_output=4, kernel_size=3, exclude=dict(stage="own"))
    top = convolution(n, L, data, "deep", 4, include=[dict(stage=["own", "t"]), dict(stage="v")])
    top = batch_norm(n, L, top, "norm")
    n.dropout = L.Dropout(top, in_place=True, include=dict(stage="t"))
    top = inner_product(n, L, n.dropout, "fc", 3)
    n.reduced = L.Reduction(top, loss_weight=1.0, include=dict(phase=TRAIN, not_stage="v"))
    n.prob = L.Softmax(top, include=dict(phase=TEST, not_stage="t"))
