"""One quantized layer at a time, over the product of its variations (every pair of them)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.conformance.building import FOLLOWERS, loss, side, source
from tests.conformance.case import Case
from tests.conformance.pairwise import Choice, pairwise

TRAINING = {
    "batch_norm": ["keep", "fold"],
    "shift_n_algo": ["search_n_v2", "search_n", "none"],
    "bounds": ["found", "given"],
    "image": [(9, 9), (7, 10)],
    "input": ["signed", "after a ReLU"],
}
"""What holds for every layer type.  No size and stride leave a window of AVE pooling empty."""

CONVOLUTION = {
    "kernel": [1, 3, (1, 3), (3, 2)],
    "stride": [1, 2, (2, 1)],
    "pad": [0, 1, (0, 2)],
    "dilation": [1, 2],
    "groups": ["one", "two", "depthwise", "depthwise, two outputs each"],
    "bias_term": [True, False],
    "channel_wise": [True, False],
    "follower": list(FOLLOWERS),
    **TRAINING,
}

DECONVOLUTION = {
    "kernel": [2, 3, 4, (2, 3)],
    "stride": [1, 2, 3, (1, 2)],
    "pad": [0, 1, (1, 0)],
    "bias_term": [True, False],
    "channel_wise": [True, False],
    "follower": list(FOLLOWERS),
    **TRAINING,
}

INNER_PRODUCT = {
    "rank": [4, 2],
    "bias_term": [True, False],
    "follower": ["nothing", "relu_in_place", "leaky_relu", "dropout_in_place"],
    **TRAINING,
}

AVE_POOLING = {
    "kernel": [2, 3, (2, 3), 5],
    "stride": [1, 2, (2, 1), (2, 3)],
    "pad": [0, 1, (1, 0)],
    "round_mode": ["CEIL", "FLOOR"],
    "follower": ["nothing", "relu_in_place", "leaky_relu"],
    **TRAINING,
}

NORMALISATION = {
    "region": ["ACROSS_CHANNELS", "WITHIN_CHANNEL"],
    "local_size": [1, 3, 5, 7],
    "alpha": [1e-4, 0.5, 1.0],
    "beta": [0.75, 0.5],
    "k": [1.0, 2.0],
    "image": TRAINING["image"],
    "input": TRAINING["input"],
}
"""What stands before a convolution.  There are fewer channels than the largest size."""

_ROUND_MODE = ("PoolingParameter", "round_mode")

GROUPS = {
    "one": dict(num_output=6),
    "two": dict(num_output=6, group=2),
    "depthwise": dict(num_output=4, group=4),
    "depthwise, two outputs each": dict(num_output=8, group=4),
}


def _cases() -> Iterator[Case]:
    for seed in range(3):
        for choice in pairwise(CONVOLUTION, seed):
            yield _case("convolution", choice, _convolution)
    for seed in range(2):
        for choice in pairwise(DECONVOLUTION, seed):
            yield _case("deconvolution", choice, _deconvolution)
    for choice in pairwise(INNER_PRODUCT):
        yield _case("inner product", choice, _inner_product)
    for choice in pairwise(AVE_POOLING):
        yield _case("pooling", choice, _pooling)
    for choice in pairwise(NORMALISATION):
        others = {"follower": "nothing", "bounds": "found"}
        yield _case("normalisation", {**choice, **others}, _behind_normalisation)


def _case(kind: str, choice: Choice, layer: Any) -> Case:
    def build(n: Any, L: Any, P: Any) -> None:
        height, width = choice["image"]
        shape = (3, 4) if choice.get("rank") == 2 else (2, 4, height, width)
        top = source(n, L, *shape)
        if choice["input"] == "after a ReLU":
            n.before = L.ReLU(top)
            top = n.before
        if "region" in choice:
            n.norm = _normalisation(L, P, top, choice)
            top = n.norm
        n.layer = layer(L, P, top, choice)
        loss(n, L, FOLLOWERS[choice["follower"]](n, L, n.layer, "layer"))

    activation = {"clip_max": 1.5, "clip_min": -1.0} if choice["bounds"] == "given" else {}
    return Case(
        name=kind + ": " + ", ".join(f"{key} {value}" for key, value in choice.items()),
        build=build,
        quantized=("layer",),
        config={key: choice[key] for key in ("batch_norm", "shift_n_algo") if key in choice},
        activation=activation,
        channel_wise=choice.get("channel_wise"),
        needs=_ROUND_MODE if choice.get("round_mode") == "FLOOR" else None,
    )


def _convolution(L: Any, P: Any, top: Any, choice: Choice) -> Any:
    return L.Convolution(
        top,
        **GROUPS[choice["groups"]],
        **side(choice["kernel"], "kernel_size", "kernel"),
        **side(choice["stride"], "stride", "stride"),
        **side(choice["pad"], "pad", "pad"),
        dilation=choice["dilation"],
        bias_term=choice["bias_term"],
    )


def _deconvolution(L: Any, P: Any, top: Any, choice: Choice) -> Any:
    return L.Deconvolution(
        top,
        convolution_param=dict(
            num_output=5,
            **side(choice["kernel"], "kernel_size", "kernel"),
            **side(choice["stride"], "stride", "stride"),
            **side(choice["pad"], "pad", "pad"),
            bias_term=choice["bias_term"],
        ),
    )


def _inner_product(L: Any, P: Any, top: Any, choice: Choice) -> Any:
    return L.InnerProduct(top, num_output=5, bias_term=choice["bias_term"])


def _pooling(L: Any, P: Any, top: Any, choice: Choice) -> Any:
    floor = {"round_mode": P.Pooling.FLOOR} if choice["round_mode"] == "FLOOR" else {}
    return L.Pooling(
        top,
        pool=P.Pooling.AVE,
        **floor,
        **side(choice["kernel"], "kernel_size", "kernel"),
        **side(choice["stride"], "stride", "stride"),
        **side(choice["pad"], "pad", "pad"),
    )


def _normalisation(L: Any, P: Any, top: Any, choice: Choice) -> Any:
    numbers = {key: choice[key] for key in ("local_size", "alpha", "beta", "k")}
    return L.LRN(top, norm_region=getattr(P.LRN, choice["region"]), **numbers)


def _behind_normalisation(L: Any, P: Any, top: Any, choice: Choice) -> Any:
    return L.Convolution(top, num_output=3, kernel_size=3, pad=1)


CASES = tuple(_cases())
"""Some hundreds; drawing them takes a moment."""
