"""Of a network that ATC refuses by nature the deployable model has the one finding that says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ascend_backend.lint import lint
from tests.conformance.building import convolution, inner_product, loss, relu, source
from tests.conformance.case import Case
from tests.conformance.runner import insert, pretend_training

CASES: list[tuple[Case, str, str]] = []


def refused(rule: str, layer: str) -> Callable[..., Any]:
    """Register the network below, whose ``layer`` breaks ``rule``."""

    def register(build: Any) -> Any:
        CASES.append((Case(build.__name__.replace("_", " "), build, ()), rule, layer))
        return build

    return register


@refused("A017", "one")
def force_nd_im2col(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 20, 8, 8)
    one = convolution(n, L, data, "one", 32, force_nd_im2col=True)
    loss(n, L, inner_product(n, L, one, "ip", 3))


@refused("A019", "one")
def one_convolution_of_two_blobs(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 20, 8, 8)
    n.data2 = L.Power(data, scale=0.5)
    parameters = {"num_output": 32, "kernel_size": 3, "bias_term": False}
    n.one, n.other = L.Convolution(data, n.data2, ntop=2, convolution_param=parameters)
    n.sum = L.Eltwise(n.one, n.other)
    loss(n, L, inner_product(n, L, n.sum, "ip", 3))


@refused("A072", "pool")
def mask_of_a_max_pooling(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 20, 8, 8)
    one = relu(n, L, convolution(n, L, data, "one", 32), "relu")
    n.pool, n.mask = L.Pooling(one, ntop=2, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    loss(n, L, inner_product(n, L, n.pool, "ip", 3))
    loss(n, L, convolution(n, L, n.mask, "maps", 20), "loss2")


@refused("A078", "prob")
def softmax_along_the_last_axis_at_batch_1(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 1, 20, 8, 8)
    top = inner_product(n, L, convolution(n, L, data, "one", 32), "ip", 5)
    n.prob = L.Softmax(relu(n, L, top, "relu"), axis=-1)
    loss(n, L, n.prob)


@pytest.mark.parametrize(("case", "rule", "layer"), CASES, ids=[str(each[0]) for each in CASES])
def test_the_deployable_model_has_one_finding(
    case: Case, rule: str, layer: str, tmp_path: Path
) -> None:
    inserted = insert(case, tmp_path)
    pretend_training(tmp_path, searches=inserted.searches)
    prefix = inserted.save()
    findings = lint(f"{prefix}_deploy_model.prototxt", f"{prefix}_deploy_weights.caffemodel")
    assert [(each.rule.id, each.problem.layer) for each in findings] == [(rule, layer)]
