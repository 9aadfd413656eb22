"""What is checked of a weight algorithm, wherever weights are quantized."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
import pytest

from amct_core import weight_quantization
from amct_core.errors import PluginError, QuantizationError
from amct_core.numerics import arq
from amct_core.plugins import Registries
from amct_core.weight_quantization import (
    fake_quantize_into,
    learned_gradients,
    quantize_weights,
)
from tests import mistakes

KIND = "weight algorithm"
WEIGHTS = np.random.default_rng(7).normal(size=(4, 3, 2, 2)).astype(np.float32)

Register = Callable[..., Registries]


def algorithm(registered: Register, extension: Any) -> Any:
    found = registered("amct_weight_algorithms", extension).weight_algorithms
    return found.get(mistakes.NAME)


@pytest.mark.parametrize("name", mistakes.WEIGHTS)
def test_a_mistake_is_one_message(registered: Register, name: str) -> None:
    mistake = mistakes.WEIGHTS[name]
    with pytest.raises(PluginError) as caught:
        quantize_weights(WEIGHTS, algorithm(registered, mistake.extension), 0, True, layer="conv")
    mistakes.message(caught.value, KIND, "conv", mistake.said)


@pytest.mark.parametrize("name", mistakes.WEIGHTS)
def test_so_it_is_in_training(registered: Register, name: str) -> None:
    mistake, out = mistakes.WEIGHTS[name], np.empty_like(WEIGHTS)
    with pytest.raises(PluginError) as caught:
        fake_quantize_into(
            out, WEIGHTS, algorithm(registered, mistake.extension), 0, True, layer="conv"
        )
    mistakes.message(caught.value, KIND, "conv", mistake.said)


@pytest.mark.parametrize("name", mistakes.IN_PLACE)
def test_what_is_written_in_place_is_what_the_other_functions_give(
    registered: Register, name: str
) -> None:
    mistake, out = mistakes.IN_PLACE[name], np.empty_like(WEIGHTS)
    found = algorithm(registered, mistake.extension)
    with pytest.raises(PluginError) as caught:
        fake_quantize_into(out, WEIGHTS, found, 0, True, layer="conv", thorough=True)
    mistakes.message(caught.value, KIND, "conv", mistake.said)


def test_layers_that_are_too_large_are_not_quantized_twice(
    registered: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake, out = mistakes.IN_PLACE["other weights in place"], np.empty_like(WEIGHTS)
    found = algorithm(registered, mistake.extension)
    monkeypatch.setattr(weight_quantization, "MOST_COMPARED", WEIGHTS.size - 1)
    fake_quantize_into(out, WEIGHTS, found, 0, True, layer="conv", thorough=True)


def test_one_scale_for_all_weights_is_one(registered: Register) -> None:
    found = algorithm(
        registered, mistakes.weight(scales=lambda weights, axis=None: arq.scales(weights, 0))
    )
    with pytest.raises(PluginError, match=r"expected float32 \(1,\), one for all weights"):
        quantize_weights(WEIGHTS, found, 0, False, layer="conv")


def test_weights_that_cannot_be_quantized_are_told_with_the_algorithm(registered: Register) -> None:
    found = algorithm(registered, mistakes.weight())
    with pytest.raises(QuantizationError) as caught:
        quantize_weights(WEIGHTS * np.float32(np.nan), found, 0, True, layer="conv")
    mistakes.message(caught.value, KIND, "conv", ("NaN",))


def test_a_right_one_gives_what_it_gives_without_checks(registered: Register) -> None:
    found = quantize_weights(WEIGHTS, algorithm(registered, mistakes.weight()), 0, True)
    scales = arq.scales(WEIGHTS, 0)
    np.testing.assert_array_equal(found.scale_w, scales)
    np.testing.assert_array_equal(found.integers, arq.quantize(WEIGHTS, scales, 0))


@pytest.mark.parametrize("name", mistakes.LEARNED_SCALES)
def test_a_mistake_in_the_gradients_of_learned_scales_is_one_message(
    registered: Register, name: str
) -> None:
    mistake = mistakes.LEARNED_SCALES[name]
    found = algorithm(registered, mistake.extension)
    scales = arq.scales(WEIGHTS, 0)
    with pytest.raises(PluginError) as caught:
        learned_gradients(WEIGHTS, WEIGHTS, found, 0, True, None, scales, layer="conv")
    mistakes.message(caught.value, KIND, "conv", mistake.said)


def test_scales_that_diverge_are_not_the_plugins_fault(registered: Register) -> None:
    mistake = mistakes.LEARNED_SCALES["NaN as the gradient of a scale"]
    found = algorithm(registered, mistake.extension)
    diverged = np.full_like(WEIGHTS, np.nan)
    _, d_scale = learned_gradients(WEIGHTS, diverged, found, 0, True, None, arq.scales(WEIGHTS, 0))
    assert np.isnan(d_scale[1])
