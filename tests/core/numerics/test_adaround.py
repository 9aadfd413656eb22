"""AdaRound: beside an exhaustive search, and what holds of every result."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from amct_core.errors import QuantizationError
from amct_core.numerics import adaround, arq

Array = NDArray[Any]


def learned(u: Array, x: Array) -> Array:
    """Return the integers of one group; ``u`` ``[M, K]`` in steps, columns ``[K, N]``."""
    weights, scale = np.asarray(u[None], np.float32), np.ones((1, len(u), 1), np.float32)
    nearest = arq.quantize(weights, np.ones(1, np.float32))
    run = adaround.AdaRound(weights, scale, nearest)
    half = x.shape[1] // 2
    for part in (slice(None, half), slice(half, None)):
        run.observe(x[None, :, part])
    found = run.result()
    assert (found.dtype, found.shape) == (np.int8, weights.shape)
    return found[0]


def error(q: Array, u: Array, x: Array) -> Array:
    """Return the squared error of each output over all columns, float64 ``[M]``."""
    wanted = np.asarray(u, np.float32).astype(np.float64) @ x.astype(np.float64)
    found: Array = np.square(q.astype(np.float64) @ x.astype(np.float64) - wanted).sum(1)
    return found


def layer(seed: int, outputs: int, inputs: int, columns: int) -> tuple[Array, Array]:
    """Return weights in steps, and correlated columns."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(inputs, inputs))
    x = np.maximum(mixing @ generator.normal(size=(inputs, columns)), 0).astype(np.float32)
    return generator.normal(0, 30, (outputs, inputs)), x


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    outputs=st.integers(1, 4),
    inputs=st.integers(1, 8),
    columns=st.integers(2, 40),
)
def test_no_output_has_a_larger_error_than_with_the_nearest_integers(
    seed: int, outputs: int, inputs: int, columns: int
) -> None:
    u, x = layer(seed, outputs, inputs, columns)
    found = learned(u, x)
    nearest = arq.quantize(np.asarray(u, np.float32), np.ones(1, np.float32))
    own, plain = (error(each, u, x) for each in (found, nearest))
    assert (own <= plain * (1 + 1e-9)).all()
    low = np.clip(np.floor(np.asarray(u, np.float32)), -128, 127)
    assert ((found == low) | (found == np.clip(low + 1, -128, 127))).all()
    assert np.abs(found.astype(np.int16) - nearest).max() <= 1


def test_it_comes_close_to_an_exhaustive_search() -> None:
    for seed in range(10):
        u, x = layer(seed, 1, 8, 60)
        low = np.floor(np.asarray(u, np.float32))
        choices = (low + np.array(each) for each in itertools.product((0, 1), repeat=8))
        least = min(float(error(each, u, x)[0]) for each in choices)
        nearest = float(error(np.rint(u), u, x)[0])
        found = float(error(learned(u, x), u, x)[0])
        assert least <= found * (1 + 1e-9)
        assert found - least <= 0.1 * (nearest - least) + 1e-9


def test_weights_of_equal_inputs_are_rounded_together() -> None:
    """Five times 0.4 is 2: two are rounded up, where the nearest integers are all 0."""
    x = np.tile(np.linspace(0.1, 2, 10, dtype=np.float32), (5, 1))
    assert learned(np.full((1, 5), 0.4), x).sum() == 2


def test_integers_stay_within_int8() -> None:
    x = np.linspace(0.1, 2, 10, dtype=np.float32)[None]
    for steps, expected in ((127.6, 127), (200.0, 127), (127.0, 127), (-128.4, -128), (-200, -128)):
        assert learned(np.array([[steps]]), x).tolist() == [[expected]]


def test_an_input_that_is_always_0_leaves_its_weights_at_the_nearest() -> None:
    x = np.zeros((2, 10), np.float32)
    assert learned(np.array([[3.4, 3.6]]), x).tolist() == [[3, 4]]


def test_groups_are_rounded_apart() -> None:
    first, second = (layer(seed, 3, 5, 30) for seed in (1, 2))
    weights = np.stack([first[0], second[0]]).astype(np.float32)
    nearest = arq.quantize(weights, np.ones(1, np.float32))
    run = adaround.AdaRound(weights, np.ones((2, 3, 1), np.float32), nearest)
    run.observe(np.stack([first[1], second[1]]))
    found = run.result()
    np.testing.assert_array_equal(found[0], learned(*first))
    np.testing.assert_array_equal(found[1], learned(*second))


def test_rows_in_parts_are_what_they_are_together(monkeypatch: pytest.MonkeyPatch) -> None:
    u, x = layer(7, 5, 12, 60)
    whole = learned(u, x)
    monkeypatch.setattr(adaround, "_WEIGHTS_AT_ONCE", 24)
    np.testing.assert_array_equal(learned(u, x), whole)


def test_the_same_data_give_the_same_integers() -> None:
    given_layer = layer(5, 4, 20, 100)
    np.testing.assert_array_equal(learned(*given_layer), learned(*given_layer))


def test_without_data_there_is_nothing_to_learn_from() -> None:
    weights = np.ones((1, 1, 1), np.float32)
    run = adaround.AdaRound(weights, weights, np.ones((1, 1, 1), np.int8))
    with pytest.raises(QuantizationError, match="no data"):
        run.result()
    run.observe(np.full((1, 1, 3), np.inf, np.float32))
    with pytest.raises(QuantizationError, match="NaN or infinity"):
        run.result()


def test_adam_goes_against_a_constant_gradient_by_the_learning_rate() -> None:
    # Both estimates are unbiased (Kingma and Ba, 2014, section 3), so that each step is the first.
    gradient = np.float32([2.0, -0.5, 1e-3])
    adam = adaround._Adam(np.zeros(3, np.float32))
    for count in range(1, 6):
        adam.step(gradient)
        np.testing.assert_allclose(
            adam.values, -count * adaround.RATE * np.sign(gradient), rtol=1e-4
        )
