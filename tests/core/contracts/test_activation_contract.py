"""What is checked of an activation algorithm, in training and when its factors are saved."""

from __future__ import annotations

from typing import Any, Callable

import attrs
import numpy as np
import pytest

from amct_core.contracts import activations
from amct_core.contracts.activations import CheckedActivation
from amct_core.errors import PluginError, QuantizationError
from amct_core.numerics import affine, ulq
from amct_core.plugins import BUILTIN, Registries
from tests import mistakes

KIND = "activation algorithm"
BOUNDS = 2.0, -1.5, False
X = np.random.default_rng(5).normal(size=(2, 3, 4, 4)).astype(np.float32)
TOP_DIFF = np.random.default_rng(6).normal(size=X.shape).astype(np.float32)

Register = Callable[..., Registries]


def checked(registered: Register, algorithm: Any) -> CheckedActivation:
    found = registered("amct_activation_algorithms", algorithm).activation_algorithms
    return CheckedActivation(found.get(mistakes.NAME), "conv")


def train(algorithm: CheckedActivation, x: Any = X, top_diff: Any = TOP_DIFF) -> Any:
    """Run what training runs; return y, the gradient of x and the other results."""
    y, bottom_diff = np.empty_like(x), np.empty_like(x)
    factors = algorithm.forward(x, y, *BOUNDS)
    return y, bottom_diff, factors, algorithm.backward(x, top_diff, bottom_diff, *BOUNDS)


@pytest.mark.parametrize("name", [name for name in mistakes.FORWARD if "prepare" not in name])
def test_a_mistake_in_forward_or_factors_is_one_message(registered: Register, name: str) -> None:
    mistake = mistakes.FORWARD[name]
    algorithm = checked(registered, mistake.extension)
    with pytest.raises(PluginError) as caught:
        algorithm.forward(X, np.empty_like(X), *BOUNDS)
    mistakes.message(caught.value, KIND, "conv", mistake.said)


@pytest.mark.parametrize("name", mistakes.BACKWARD)
def test_a_mistake_in_backward_is_one_message(registered: Register, name: str) -> None:
    mistake = mistakes.BACKWARD[name]
    algorithm = checked(registered, mistake.extension)
    algorithm.forward(X, np.empty_like(X), *BOUNDS)
    with pytest.raises(PluginError) as caught:
        algorithm.backward(X, TOP_DIFF, np.empty_like(X), *BOUNDS)
    mistakes.message(caught.value, KIND, "conv", mistake.said)


def test_an_error_of_the_plugins_is_the_cause(registered: Register) -> None:
    algorithm = checked(registered, mistakes.FORWARD["an exception in forward"].extension)
    with pytest.raises(PluginError) as caught:
        algorithm.forward(X, np.empty_like(X), *BOUNDS)
    cause = caught.value.__cause__
    assert isinstance(cause, ZeroDivisionError)
    assert cause.__traceback__ is not None


def test_an_error_of_ours_inside_a_plugin_keeps_its_type_and_names_it(registered: Register) -> None:
    def forward(x: Any, *bounds: Any) -> Any:
        return affine.quantize(x, 1.0, 300)

    algorithm = checked(registered, mistakes.activation(forward=forward))
    with pytest.raises(QuantizationError, match="the offset is 300") as caught:
        algorithm.forward(X, np.empty_like(X), *BOUNDS)
    mistakes.message(caught.value, KIND, "conv", ("expected -128..127",))


def test_an_error_of_a_built_in_algorithm_names_the_layer_alone() -> None:
    algorithm = CheckedActivation(mistakes.activation(), "conv")
    with_nan = np.where(X > 1, np.float32(np.nan), X)
    for provider in ("", BUILTIN):
        algorithm.usage = attrs.evolve(
            algorithm.usage, extension=attrs.evolve(algorithm.algorithm, provider=provider)
        )
        with pytest.raises(QuantizationError) as caught:
            algorithm.forward(with_nan, np.empty_like(X), *BOUNDS)
        assert caught.value.problem == "an activation is NaN."
        assert caught.value.layer == "conv"


def test_a_right_one_computes_what_it_computes_without_checks(registered: Register) -> None:
    y, bottom_diff, factors, gradients = train(checked(registered, mistakes.activation()))
    expected, *expected_factors = ulq.forward(X, *BOUNDS)
    np.testing.assert_array_equal(y, expected)
    assert factors == tuple(expected_factors)
    expected, *expected_gradients = ulq.backward(X, TOP_DIFF, *BOUNDS)
    np.testing.assert_array_equal(bottom_diff, expected)
    assert gradients == (*expected_gradients, {})


def test_y_may_be_x_itself(registered: Register) -> None:
    def forward_into(x: Any, y: Any, *bounds: Any) -> Any:
        y[...], *factors = ulq.forward(x, *bounds)
        return tuple(factors)

    algorithm = checked(registered, mistakes.activation(forward_into=forward_into))
    x = X.copy()
    algorithm.forward(x, x, *BOUNDS)
    np.testing.assert_array_equal(x, ulq.forward(X, *BOUNDS)[0])


def test_gradients_that_are_not_finite_because_training_diverged_are_not_the_plugins_fault(
    registered: Register,
) -> None:
    algorithm = checked(registered, mistakes.activation())
    diverged = np.where(X > 0, np.float32(np.nan), TOP_DIFF)
    _, _, _, (d_clip_max, *_) = train(algorithm, top_diff=diverged)
    assert np.isnan(d_clip_max)


def test_values_are_looked_at_the_first_time_and_when_asked(registered: Register) -> None:
    calls = []

    def forward(x: Any, *bounds: Any) -> Any:
        y, scale, offset = ulq.forward(x, *bounds)
        calls.append(1)
        return (y if len(calls) == 1 else y + scale / 2), scale, offset

    algorithm = checked(registered, mistakes.activation(forward=forward))
    y = np.empty_like(X)
    algorithm.forward(X, y, *BOUNDS)
    algorithm.forward(X, y, *BOUNDS)
    with pytest.raises(PluginError, match="forward gave y = "):
        algorithm.forward(X, y, *BOUNDS, thorough=True)


def test_what_costs_nothing_is_looked_at_each_time(registered: Register) -> None:
    calls = []

    def forward(x: Any, *bounds: Any) -> Any:
        y, scale, offset = ulq.forward(x, *bounds)
        calls.append(1)
        return y, scale, (offset if len(calls) == 1 else 300)

    def backward(x: Any, top_diff: Any, *bounds: Any) -> Any:
        bottom_diff, high, low = ulq.backward(x, top_diff, *bounds)
        return bottom_diff, (high if len(calls) == 1 else np.nan), low

    algorithm = checked(registered, mistakes.activation(forward=forward, backward=backward))
    train(algorithm)
    with pytest.raises(PluginError, match="offset_d 300"):
        algorithm.forward(X, np.empty_like(X), *BOUNDS)
    with pytest.raises(PluginError, match="d_clip_max with nan"):
        algorithm.backward(X, TOP_DIFF, np.empty_like(X), *BOUNDS)


@pytest.mark.parametrize("name", [name for name in mistakes.BACKWARD if "in place" not in name])
def test_gradients_are_looked_at_in_each_pass(registered: Register, name: str) -> None:
    mistake = mistakes.BACKWARD[name]
    calls = []

    def later(x: Any, top_diff: Any, *arguments: Any) -> Any:
        calls.append(1)
        own = ulq.backward if len(calls) < 3 else mistake.extension.backward
        return own(x, top_diff, *arguments)

    algorithm = checked(registered, attrs.evolve(mistake.extension, backward=later))
    train(algorithm)
    train(algorithm)
    with pytest.raises(PluginError) as caught:
        train(algorithm)
    mistakes.message(caught.value, KIND, "conv", mistake.said)


def test_of_a_large_tensor_evenly_spread_values_are_compared(
    registered: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activations, "MOST_VALUES", 16)
    columns = np.arange(8)

    def last_column(y: Any, scale: Any, offset: int) -> Any:
        return np.where(columns == 7, y + scale / 2, y), scale, offset

    def forward(x: Any, *bounds: Any) -> Any:
        return last_column(*ulq.forward(x, *bounds))

    algorithm = checked(registered, mistakes.activation(forward=forward))
    x = np.random.default_rng(1).normal(size=(2, 8, 8, 8)).astype(np.float32)
    with pytest.raises(PluginError, match="forward gave y = "):
        algorithm.forward(x, np.empty_like(x), *BOUNDS)


@pytest.mark.parametrize(
    "name", [name for name in mistakes.FORWARD if "into" not in name and "prepare" not in name]
)
def test_factors_that_are_saved_are_tried_with_forward(registered: Register, name: str) -> None:
    mistake = mistakes.FORWARD[name]
    algorithm = checked(registered, mistake.extension)
    with pytest.raises(PluginError) as caught:
        algorithm.factors(*BOUNDS)
    mistakes.message(caught.value, KIND, "conv", mistake.said)


@pytest.mark.parametrize("bounds", [(2.0, -1.5, False), (3.0, -1.0, True), (1e-12, -1e-12, False)])
def test_factors_of_a_right_one_are_its_own(registered: Register, bounds: Any) -> None:
    algorithm = checked(registered, mistakes.activation())
    assert algorithm.factors(*bounds) == affine.scale_offset(*bounds)


VALUES = {"slope": np.float32([1.0])}


@pytest.mark.parametrize("name", mistakes.LEARNED)
def test_a_mistake_in_what_is_learned_is_one_message(registered: Register, name: str) -> None:
    mistake = mistakes.LEARNED[name]
    algorithm = checked(registered, mistake.extension)
    algorithm.forward(X, np.empty_like(X), *BOUNDS, values=VALUES)
    with pytest.raises(PluginError) as caught:
        learn(algorithm)
    mistakes.message(caught.value, KIND, "conv", mistake.said)


def learn(algorithm: CheckedActivation) -> None:
    algorithm.backward(X, TOP_DIFF, np.empty_like(X), *BOUNDS, values=VALUES)
    algorithm.new_values(X, *BOUNDS, values=VALUES, batch=1)
    algorithm.new_values(X, *BOUNDS, values=VALUES)
