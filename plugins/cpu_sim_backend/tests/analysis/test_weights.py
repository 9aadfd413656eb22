"""What is said of the weights of a layer, from its int8 weights and the float ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from amct_core.extensions import LayerType, WeightAxes
from amct_core.graph import Node
from amct_core.graph.attributes import DeQuant, Quant
from amct_core.graph.deployed_layers import DeployedLayer
from cpu_sim_backend.analysis.model import WeightReport
from cpu_sim_backend.analysis.tallies import AccumulatorTally
from cpu_sim_backend.analysis.weights import integer_report, weight_report

ROWS = LayerType("rows", weights=WeightAxes(output=0, input=1))
INPUT_SCALE = 0.5


def layer(weights: np.ndarray, channel_wise: bool) -> DeployedLayer:
    """Return a layer with ``weights``, (outputs, inputs), in int8."""
    largest = np.abs(weights).max(axis=1, initial=0) if channel_wise else np.abs(weights).max()
    scales = np.atleast_1d(np.where(largest > 0, largest / 127, 1)).astype(np.float32)
    q = np.rint(weights / scales.reshape(-1, 1)).clip(-128, 127).astype(np.int8)
    bias = np.int32([3, -70_000, 5, 6][: len(weights)])
    quant = Node("quant", "q", ("x",), ("q",), Quant(1 / INPUT_SCALE, -128))
    node = Node("ip", ROWS, ("q",), ("a",), weights=(q, bias))
    dequant = Node("dequant", "d", ("a",), ("y",), DeQuant())
    return DeployedLayer(quant, node, dequant, scales * np.float32(INPUT_SCALE), np.uint8([0]))


def report(weights: np.ndarray, channel_wise: bool = False) -> WeightReport:
    found = weight_report(layer(weights, channel_wise), weights)
    assert found is not None
    return found


def normal(outputs: int = 4, inputs: int = 200) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(outputs, inputs)).astype(np.float32)


@pytest.mark.parametrize("channel_wise", [False, True])
def test_sound_weights(channel_wise: bool) -> None:
    weights = normal()
    found = report(weights, channel_wise)
    assert (found.channel_wise, len(found.scales)) == (channel_wise, 4 if channel_wise else 1)
    assert (found.dead, found.outliers, found.wide, found.retrained) == ((), (), (), False)
    np.testing.assert_allclose(found.highest, weights.max(axis=1), atol=0.02)
    np.testing.assert_allclose(found.lowest, weights.min(axis=1), atol=0.02)
    assert 60 < found.typical < 120
    assert 35 < found.snr < 50


def test_a_weight_that_is_an_outlier_makes_no_channel_large_as_a_whole() -> None:
    weights = normal()
    weights[2, 7] = 5000
    found = report(weights)
    assert (found.outliers, found.wide) == ((2,), ())
    assert found.typical < 1
    # Everything else has become 0: that is not dead.
    assert found.used[0] == 1
    assert found.dead == ()


def test_a_channel_that_is_large_as_a_whole() -> None:
    weights = normal()
    weights[2] *= 100
    found = report(weights)
    assert (found.outliers, found.wide) == ((2,), (2,))
    assert report(weights, channel_wise=True).outliers == ()
    assert report(weights, channel_wise=True).typical > 60


@pytest.mark.parametrize("channel_wise", [False, True])
def test_a_dead_channel_is_dead_in_float_as_well(channel_wise: bool) -> None:
    weights = normal()
    weights[1] = 0
    found = report(weights, channel_wise)
    assert found.dead == (1,)
    assert found.outliers == ()
    assert found.typical > 60


def test_weights_that_are_all_0() -> None:
    found = report(np.zeros((3, 5), np.float32))
    assert found.dead == (0, 1, 2)
    assert math.isnan(found.typical)
    assert math.isinf(found.snr)


def test_other_float_weights_are_seen() -> None:
    weights = normal()
    found = weight_report(layer(weights, True), weights * np.float32(1.2))
    assert found is not None
    assert found.retrained


def test_accumulators() -> None:
    weights = np.full((3, 600), 0.25, np.float32)
    tally = AccumulatorTally(np.uint8([0]))
    tally.add(np.int32([[5, -9, 3]]))
    found = integer_report(layer(weights, False), tally)
    # Inputs are at most 255 steps; 600 of 127 steps each would reach 2**24, so there are parts.
    assert 600 * 127 * 255 > 2**24 > found.largest_partial_sum
    assert found.parts == 2
    assert (found.largest_bias, found.largest_accumulator) == (70_000, 9)
    assert (found.shift_n, found.int16_saturated) == ((0,), 0.0)
