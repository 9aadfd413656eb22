"""Networks by their losses, in both phases: predictions and targets behind whichever bottom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.conformance.building import batch_norm, convolution, inner_product, relu, source
from tests.conformance.case import Case

CASES: list[Case] = []


def case(*quantized: str, **facts: Any) -> Callable[..., Any]:
    """Register the function below as a case of its name."""

    def register(build: Any) -> Any:
        CASES.append(Case(build.__name__.replace("_", " "), build, quantized, **facts))
        return build

    return register


def _code(n: Any, L: Any) -> Any:
    data = source(n, L, 2, 3, 8, 8)
    top = relu(n, L, convolution(n, L, data, "encode", 4, stride=2), "relu")
    return convolution(n, L, top, "decode", 12, kernel_size=1, pad=0)


@case("one", "feature", "one_p", "feature_p")
def a_siamese_network_with_a_contrastive_loss(n: Any, L: Any, P: Any) -> None:
    features = []
    for end in ("", "_p"):
        data = source(n, L, 2, 3, 8, 8, name=f"data{end}")
        weights = [dict(name="w"), dict(name="b")], [dict(name="v"), dict(name="c")]
        top = convolution(n, L, data, f"one{end}", 3, param=weights[0])
        top = relu(n, L, top, f"relu{end}")
        features.append(inner_product(n, L, top, f"feature{end}", 2, param=weights[1]))
    similar = source(n, L, 2, name="similar")
    n.loss = L.ContrastiveLoss(*features, similar, contrastive_loss_param=dict(margin=1.0))


@case("one")
def triplets_of_one_batch(n: Any, L: Any, P: Any) -> None:
    feature = convolution(n, L, source(n, L, 3, 3, 8, 8), "one", 4)
    n.anchor, n.near, n.far = L.Slice(feature, ntop=3, axis=0)
    n.close = L.EuclideanLoss(n.anchor, n.near)
    n.wide = L.EuclideanLoss(n.anchor, n.far, loss_weight=-0.1)


@case("encode", "decode")
def an_autoencoder_whose_target_comes_first(n: Any, L: Any, P: Any) -> None:
    top = _code(n, L)
    n.reshaped = L.Reshape(top, shape=dict(dim=[0, 3, 8, 8]))
    n.loss = L.EuclideanLoss(n.data, n.reshaped)


@case("encode", "decode")
def an_autoencoder_with_two_losses_and_a_flattened_target(n: Any, L: Any, P: Any) -> None:
    n.flat = L.Flatten(_code(n, L))
    n.target = L.Flatten(n.data)
    n.bounded = L.Sigmoid(n.target)
    n.cross = L.SigmoidCrossEntropyLoss(n.flat, n.bounded, loss_weight=1.0)
    n.decoded = L.Sigmoid(n.flat)
    n.distance = L.EuclideanLoss(n.decoded, n.bounded, loss_weight=0.0)


@case("ip")
def a_label_that_comes_first(n: Any, L: Any, P: Any) -> None:
    top = inner_product(n, L, source(n, L, 2, 3, 4, 4), "ip", 3)
    n.bent = L.TanH(top, in_place=True)
    n.loss = L.EuclideanLoss(source(n, L, 2, 3, name="label"), n.bent)


@case("ip")
def a_loss_of_plain_layers(n: Any, L: Any, P: Any) -> None:
    top = inner_product(n, L, source(n, L, 2, 3, 4, 4), "ip", 3)
    n.halves = L.Power(source(n, L, 2, 3, name="label"), scale=0.5)
    n.difference = L.Eltwise(top, n.halves, coeff=[1.0, -1.0])
    n.loss = L.Reduction(n.difference, operation=P.Reduction.SUMSQ, loss_weight=1.0)
    n.shown = L.Power(n.loss, scale=0.5)


@case("trunk", "after")
def a_loss_in_the_middle_of_the_network(n: Any, L: Any, P: Any) -> None:
    top = relu(n, L, convolution(n, L, source(n, L, 2, 3, 8, 8), "trunk", 4), "relu")
    n.sparse = L.Reduction(top, operation=P.Reduction.ASUM, loss_weight=0.01)
    n.loss = L.Reduction(convolution(n, L, top, "after", 3), loss_weight=1.0)


@case("trunk", "head")
def quantized_layers_with_loss_weights(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = convolution(n, L, data, "trunk", 4)
    top = batch_norm(n, L, top, "trunk", in_place=False, loss_weight=0.001)
    top = relu(n, L, top, "relu", in_place=False)
    inner_product(n, L, top, "head", 3, loss_weight=1.0)
