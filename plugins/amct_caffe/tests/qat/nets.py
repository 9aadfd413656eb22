"""Small networks as text: what the tests of training put together their models from."""

from __future__ import annotations

import json
from typing import Any, Sequence

_FILLERS = 'weight_filler { type: "gaussian" std: 0.4 } bias_filler { type: "gaussian" std: 0.3 }'


def layer(
    name: str,
    kind: str,
    bottoms: Sequence[str] = (),
    tops: Sequence[str] = (),
    body: str = "",
) -> str:
    """Return one layer; without tops it writes a blob of its own name."""
    lines = [f'  name: "{name}" type: "{kind}"']
    lines += [f'  bottom: "{bottom}"' for bottom in bottoms]
    lines += [f'  top: "{top}"' for top in tops or [name]]
    return "layer {\n" + "\n".join(lines) + f"\n  {body}\n}}\n"


def batches(
    file: str, arrays: Sequence[str], batch_size: int, phase: str = "", name: str = "source"
) -> str:
    """Return an ArrayData layer; its tops are called like the arrays."""
    parameters = json.dumps({"file": file, "arrays": list(arrays), "batch_size": batch_size})
    rule = f"include {{ phase: {phase} }} " if phase else ""
    body = (
        rule + 'python_param { module: "amct_caffe.layers" layer: "ArrayData" '
        f"param_str: '{parameters}' }}"
    )
    return layer(name, "Python", (), arrays, body)


def inner_product(name: str, bottom: str, outputs: int, extra: str = "", top: str = "") -> str:
    """Return an InnerProduct with random weights and biases."""
    body = f"{extra} inner_product_param {{ num_output: {outputs} {_FILLERS} }}"
    return layer(name, "InnerProduct", [bottom], [top or name], body)


def convolution(
    name: str,
    bottom: str,
    outputs: int,
    kernel: int,
    parameters: str = "",
    extra: str = "",
    top: str = "",
) -> str:
    """Return a Convolution with random weights and biases."""
    body = (
        f"{extra} convolution_param "
        f"{{ num_output: {outputs} kernel_size: {kernel} {parameters} {_FILLERS} }}"
    )
    return layer(name, "Convolution", [bottom], [top or name], body)


def relu(name: str, blob: str) -> str:
    """Return a ReLU in place."""
    return layer(name, "ReLU", [blob], [blob])


def pooling(name: str, bottom: str, method: str, kernel: int, stride: int, pad: int = 0) -> str:
    """Return a Pooling."""
    body = f"pooling_param {{ pool: {method} kernel_size: {kernel} stride: {stride} pad: {pad} }}"
    return layer(name, "Pooling", [bottom], [name], body)


def euclidean_loss(bottom: str, label: str = "label", name: str = "loss") -> str:
    """Return ``sum((bottom - label)**2) / (2 * batch)``."""
    return layer(name, "EuclideanLoss", [bottom, label])


def solver(net: str, prefix: str, **fields: Any) -> str:
    """Return a plain SGD solver's text; ``fields`` replace its defaults, None leaves one out."""
    values = {
        "net": net,
        "snapshot_prefix": prefix,
        "base_lr": 0.01,
        "lr_policy": "fixed",
        "momentum": 0.9,
        "weight_decay": 0.0005,
        "max_iter": 4,
        "test_iter": 1,
        "test_interval": 1000,
        "test_initialization": False,
        "snapshot_after_train": True,
        "random_seed": 3,
        **fields,
    }
    return "".join(
        f"{key}: {_value(value)}\n" for key, value in values.items() if value is not None
    )


def _value(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (str, bool)) else str(value)
