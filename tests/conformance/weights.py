"""Random weights of the shapes that Caffe would give them, made without Caffe."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import numpy as np

from amct_caffe.frontend import CaffeFrontend
from amct_caffe.model.formats.caffemodel import writer
from amct_caffe.model.layer_types.activations import PReLU
from amct_core.graph import Node
from amct_core.graph.attributes import Convolution, InnerProduct, Scale
from amct_core.graph.shapes import infer_shapes
from amct_core.network_state import NetworkStates

Blobs = list[np.ndarray]
Shape = tuple[int, ...]


def write_random_weights(
    model: str, weights: Path, seed: int = 0, states: Optional[NetworkStates] = None
) -> None:
    """Write every layer of ``model``, in either phase, with the weights it needs."""
    generator = np.random.default_rng(seed)
    views = CaffeFrontend().read(model, None, states)
    made: dict[str, tuple[str, str, Blobs]] = {}
    for graph in (views.train, views.test):
        shapes = infer_shapes(graph, {})
        for node in graph.nodes:
            shape = shapes.get(node.inputs[0]) if node.inputs else None
            blobs = _blobs(node, shape, generator) if shape is not None else []
            blobs = [np.asarray(blob, np.float32) for blob in blobs]
            made.setdefault(node.name, (node.name, node.op, blobs))
    with weights.open("wb") as stream:
        writer.write(stream, "random", list(made.values()))


def _blobs(node: Node, shape: Shape, generator: np.random.Generator) -> Blobs:
    a: Any = node.attributes
    if isinstance(a, Convolution):
        pair = (a.num_output, shape[1] // a.group)
        if node.op == "Deconvolution":
            pair = (shape[1], a.num_output // a.group)
        return _weighted(generator, (*pair, *a.kernel), a.num_output, a.bias_term)
    if isinstance(a, InnerProduct):
        axis = a.axis if a.axis >= 0 else len(shape) + a.axis
        inner = int(np.prod(shape[axis:]))
        pair = (inner, a.num_output) if a.transpose else (a.num_output, inner)
        return _weighted(generator, pair, a.num_output, a.bias_term)
    if node.op == "BatchNorm":
        channels = shape[1]
        factor = 2.0  # Caffe stores sums and the number to divide them by
        mean = generator.normal(0, 0.3, channels) * factor
        variance = generator.uniform(0.3, 2, channels) * factor
        return [mean, variance, np.array([factor])]
    if isinstance(a, Scale) and len(node.inputs) == 1:
        channels = shape[a.axis]
        blobs = [_gammas(generator, channels)]
        return [*blobs, generator.normal(0, 0.3, channels)] if a.bias_term else blobs
    if isinstance(a, PReLU):
        slopes = generator.uniform(0.05, 0.4, () if a.channel_shared else shape[1])
        return [np.asarray(slopes)]
    return []


def _weighted(generator: np.random.Generator, shape: Shape, outputs: int, bias_term: bool) -> Blobs:
    spread = np.sqrt(2 / max(1, np.prod(shape) / outputs))
    weights = generator.normal(0, spread, shape)
    # The largest magnitude sits on the negative side of some channels, where int8 reaches -128.
    weights.flat[generator.integers(weights.size)] = -4 * spread
    return [weights, generator.normal(0, 0.2, outputs)] if bias_term else [weights]


def _gammas(generator: np.random.Generator, channels: int) -> np.ndarray:
    """Return gammas of both signs, and one zero where there are three channels or more."""
    gammas = generator.uniform(0.5, 1.5, channels)
    gammas[1::3] *= -1
    gammas[2::5] = 0
    return gammas
