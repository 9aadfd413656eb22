"""Pieces that cases are put together from, in NetSpec notation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TRAIN, TEST = 0, 1

FOLLOWERS: dict[str, Callable[[Any, Any, Any, str], Any]] = {}
"""What may stand behind a layer: functions of ``(n, L, top, name)`` that return the last top."""


def source(n: Any, L: Any, *shape: int, name: str = "data") -> Any:
    """Add a network input."""
    n[name] = L.Input(input_param=dict(shape=dict(dim=list(shape))))
    return n[name]


def loss(n: Any, L: Any, top: Any, name: str = "loss") -> None:
    """Add a loss for training: the sum of ``top``."""
    n[name] = L.Reduction(top, loss_weight=1.0, include=dict(phase=TRAIN))


def convolution(n: Any, L: Any, bottom: Any, name: str, outputs: int, **parameters: Any) -> Any:
    """Add a Convolution; 3 x 3 and padded unless ``parameters`` say otherwise."""
    if "kernel_h" not in parameters:
        parameters = {"kernel_size": 3, "pad": 1, **parameters}
    n[name] = L.Convolution(bottom, num_output=outputs, **parameters)
    return n[name]


def inner_product(n: Any, L: Any, bottom: Any, name: str, outputs: int, **parameters: Any) -> Any:
    """Add an InnerProduct."""
    n[name] = L.InnerProduct(bottom, num_output=outputs, **parameters)
    return n[name]


def relu(n: Any, L: Any, top: Any, name: str, in_place: bool = True) -> Any:
    """Add a ReLU."""
    n[name] = L.ReLU(top, in_place=in_place)
    return n[name]


def batch_norm(n: Any, L: Any, top: Any, name: str, in_place: bool = True, **scale: Any) -> Any:
    """Add a BatchNorm and a Scale behind it."""
    n[f"{name}_bn"] = L.BatchNorm(top, in_place=in_place)
    n[f"{name}_scale"] = L.Scale(n[f"{name}_bn"], in_place=in_place, **{"bias_term": True, **scale})
    return n[f"{name}_scale"]


def side(value: Any, field: str, prefix: str) -> dict[str, Any]:
    """Return a size for both sides, or one for each, as Caffe's parameters spell it."""
    if isinstance(value, tuple):
        return {f"{prefix}_h": value[0], f"{prefix}_w": value[1]}
    return {field: value}


def _follower(function: Callable[[Any, Any, Any, str], Any]) -> Callable[..., Any]:
    FOLLOWERS[function.__name__.strip("_")] = function
    return function


@_follower
def nothing(n: Any, L: Any, top: Any, name: str) -> Any:
    return top


@_follower
def relu_in_place(n: Any, L: Any, top: Any, name: str) -> Any:
    return relu(n, L, top, f"{name}_relu")


@_follower
def leaky_relu(n: Any, L: Any, top: Any, name: str) -> Any:
    n[f"{name}_relu"] = L.ReLU(top, negative_slope=0.125)
    return n[f"{name}_relu"]


@_follower
def prelu(n: Any, L: Any, top: Any, name: str) -> Any:
    n[f"{name}_prelu"] = L.PReLU(top)
    return n[f"{name}_prelu"]


@_follower
def dropout_in_place(n: Any, L: Any, top: Any, name: str) -> Any:
    n[f"{name}_drop"] = L.Dropout(top, in_place=True, dropout_ratio=0.3)
    return n[f"{name}_drop"]


@_follower
def batch_norm_alone(n: Any, L: Any, top: Any, name: str) -> Any:
    n[f"{name}_bn"] = L.BatchNorm(top)
    return n[f"{name}_bn"]


@_follower
def batch_norm_and_scale(n: Any, L: Any, top: Any, name: str) -> Any:
    return batch_norm(n, L, top, name, in_place=False)


@_follower
def batch_norm_and_scale_without_bias(n: Any, L: Any, top: Any, name: str) -> Any:
    return batch_norm(n, L, top, name, in_place=False, bias_term=False)


@_follower
def batch_norm_scale_relu_in_place(n: Any, L: Any, top: Any, name: str) -> Any:
    return relu(n, L, batch_norm(n, L, top, name), f"{name}_relu")


@_follower
def scale_alone(n: Any, L: Any, top: Any, name: str) -> Any:
    n[f"{name}_scale"] = L.Scale(top)
    return n[f"{name}_scale"]


@_follower
def scale_with_bias_in_place(n: Any, L: Any, top: Any, name: str) -> Any:
    n[f"{name}_scale"] = L.Scale(top, bias_term=True, in_place=True)
    return n[f"{name}_scale"]
