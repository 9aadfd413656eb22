"""Layers wider and deeper than any tile, where each engine takes other ways than for small ones."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.to_graph import to_graph
from cpu_sim_backend import Simulator
from plugins.cpu_sim_backend.tests.integers.drawing import OFFSETS
from plugins.cpu_sim_backend.tests.integers.engines import every_engine
from plugins.cpu_sim_backend.tests.integers.one_quantized import (
    ACCUMULATOR,
    OUTPUT,
    run,
    simulator,
    word,
)

WIDTHS = st.sampled_from([1, 15, 16, 17, 33, 48, 63, 64, 65, 130]) | st.integers(1, 140)


def extreme_bytes(seed: int, shape: Tuple[int, ...]) -> NDArray[np.int8]:
    """Return int8 values of which half are at an end of their range."""
    generator = np.random.default_rng(seed)
    values = generator.integers(-128, 128, shape)
    ends = generator.choice([-128, 127], shape)
    return np.where(generator.random(shape) < 0.5, ends, values).astype(np.int8)


def convolution(x: Any, weights: Any, stride: int, pad: int, group: int) -> Any:
    """Return the accumulators of centered int64 values, by einsum over sliding windows."""
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weights.shape[2:], axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    each, depth = len(weights) // group, weights.shape[1]
    parts = [
        np.einsum(
            "nchwij,ocij->nohw",
            windows[:, g * depth : (g + 1) * depth],
            weights[g * each : (g + 1) * each].astype(np.int64),
        )
        for g in range(group)
    ]
    return np.concatenate(parts, axis=1)


@settings(max_examples=40)
@given(
    outputs=WIDTHS,
    depth=st.integers(1, 70),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    group=st.sampled_from([1, 1, 2]),
    batch=st.integers(1, 3),
    offset=OFFSETS,
    seed=st.integers(0, 2**32 - 1),
)
def test_convolution(
    outputs: int,
    depth: int,
    kernel: int,
    stride: int,
    group: int,
    batch: int,
    offset: int,
    seed: int,
) -> None:
    q = extreme_bytes(seed, (batch, depth * group, 7, 5))
    weights = extreme_bytes(seed + 1, (outputs * group, depth, kernel, kernel))
    bias = np.random.default_rng(seed).integers(-(2**20), 2**20, outputs * group, np.int32)
    pad = kernel // 2
    expected = convolution(q.astype(np.int64) - offset, weights, stride, pad, group)
    expected += bias.reshape(-1, 1, 1)
    for engine in every_engine():
        simulated = simulator(
            f'type: "Convolution" convolution_param {{ num_output: {outputs * group} '
            f"group: {group} kernel_size: {kernel} stride: {stride} pad: {pad} }}",
            q.shape,
            [weights, bias],
            [word(2.0**-10)] * (outputs * group),
            engine,
            offset=offset,
        )
        found = run(simulated, q, offset)
        assert (found[ACCUMULATOR] == expected).all()
        assert (found[OUTPUT] == expected.astype(np.float32) * np.float32(2.0**-10)).all()


@settings(max_examples=20)
@given(
    outputs=WIDTHS,
    features=st.integers(1, 300),
    batch=st.integers(1, 20),
    offset=OFFSETS,
    seed=st.integers(0, 2**32 - 1),
)
def test_inner_product(outputs: int, features: int, batch: int, offset: int, seed: int) -> None:
    q = extreme_bytes(seed, (batch, features))
    weights = extreme_bytes(seed + 1, (outputs, features))
    expected = (q.astype(np.int64) - offset) @ weights.astype(np.int64).T
    for engine in every_engine():
        simulated = simulator(
            f'type: "InnerProduct" inner_product_param {{ num_output: {outputs} '
            "bias_term: false }",
            q.shape,
            [weights],
            [word(1.0)],
            engine,
            offset=offset,
        )
        assert (run(simulated, q, offset)[ACCUMULATOR] == expected).all()


def residual_network(channels: int, outputs: int) -> Tuple[str, Dict[str, List[Any]]]:
    """Return a network in which a layer is followed by all that can follow it in one pass.

    A residual sum with a ReLU before and behind it, its value kept for a second sum, and quantized
    into a concatenation that a pooling and two more layers read.
    """

    def quantized(name: str, bottom: str, outputs: int, kernel: int, scale: float) -> str:
        return f"""
        layer {{ name: "{name}_q" type: "Quant" bottom: "{bottom}" top: "{name}_q"
          quant_param {{ scale: {scale} offset: "\\375" }} }}
        layer {{ name: "{name}" type: "Convolution" bottom: "{name}_q" top: "{name}_a"
          convolution_param {{ num_output: {outputs} kernel_size: {kernel} pad: {kernel // 2} }} }}
        layer {{ name: "{name}_d" type: "DeQuant" bottom: "{name}_a" top: "{name}" }}
        """

    text = f"""
    layer {{ name: "data" type: "Input" top: "data"
      input_param {{ shape {{ dim: 1 dim: {channels} dim: 6 dim: 6 }} }} }}
    {quantized("left", "data", outputs, 3, 1.0)}
    {quantized("right", "data", outputs, 1, 1.0)}
    layer {{ name: "relu" type: "ReLU" bottom: "right" top: "relu" }}
    layer {{ name: "sum" type: "Eltwise" bottom: "left" bottom: "relu" top: "sum" }}
    layer {{ name: "relu2" type: "ReLU" bottom: "sum" top: "relu2" }}
    {quantized("next", "relu2", outputs, 1, 0.3)}
    layer {{ name: "sum2" type: "Eltwise" bottom: "next" bottom: "relu2" top: "sum2" }}
    {quantized("a", "sum2", 5, 1, 0.2)}
    {quantized("b", "sum2", outputs, 3, 0.2)}
    layer {{ name: "concat" type: "Concat" bottom: "a" bottom: "b" top: "concat" }}
    layer {{ name: "pool" type: "Pooling" bottom: "concat" top: "pool"
      pooling_param {{ pool: MAX kernel_size: 3 stride: 2 }} }}
    {quantized("last", "pool", 7, 1, 0.1)}
    """
    widths = {
        "left": (outputs, channels, 3),
        "right": (outputs, channels, 1),
        "next": (outputs, outputs, 1),
        "a": (5, outputs, 1),
        "b": (outputs, outputs, 3),
        "last": (7, outputs + 5, 1),
    }
    weights: Dict[str, List[Any]] = {}
    for seed, (name, (own, depth, kernel)) in enumerate(widths.items()):
        bias = np.random.default_rng(seed).integers(-1000, 1000, own, np.int32)
        weights[name] = [extreme_bytes(seed, (own, depth, kernel, kernel)), bias]
        shift_n = 3 if name == "b" else 0
        weights[f"{name}_d"] = [np.array([word(2.0**-13, shift_n)] * own, np.uint64)]
    return text, weights


@pytest.mark.parametrize("outputs", [3, 16, 40, 64, 70])
def test_what_follows_a_layer_gives_the_same_bits_in_one_pass(engine: str, outputs: int) -> None:
    text, weights = residual_network(channels=9, outputs=outputs)
    graph = to_graph(CaffeNetwork(documents.from_text(text), weights), "TEST")
    expected = Simulator.from_graph(graph, "reference")
    simulated = Simulator.from_graph(graph, engine, threads=2)
    x = np.random.default_rng(5).normal(0, 60, (5, 9, 6, 6)).astype(np.float32)
    blobs = sorted({node.tops[0] for node in graph.nodes})
    every = expected.run({"data": x}, blobs)
    for wanted in (["last"], ["sum", "last_q"], blobs):
        for blob, values in simulated.run({"data": x}, wanted).items():
            assert values.dtype == every[blob].dtype
            assert (values == every[blob]).all(), blob


def test_a_large_batch_gives_what_its_samples_give_alone(engine: str) -> None:
    text, weights = residual_network(channels=3, outputs=64)
    graph = to_graph(CaffeNetwork(documents.from_text(text), weights), "TEST")
    simulated = Simulator.from_graph(graph, engine, threads=2)
    x = np.random.default_rng(6).normal(0, 60, (600, 3, 6, 6)).astype(np.float32)
    together = simulated.run({"data": x}, ["last", "relu2", "b_q"])
    for sample in (0, 1, 433, 599):
        alone = simulated.run({"data": x[sample : sample + 1]}, ["last", "relu2", "b_q"])
        for blob, values in alone.items():
            assert (values[0] == together[blob][sample]).all()
