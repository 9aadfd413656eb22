"""LSQ against the paper's equations, written down element by element, and finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from amct_lsq_plugin import activations, weights
from amct_lsq_plugin.parameters import Parameters
from hypothesis import given
from hypothesis import strategies as st

from amct_core.errors import ConfigError
from amct_core.numerics import affine

STEP = np.float32(0.0371)
SIGNED, UNSIGNED = (-128, 127), (0, 255)


def paper(v, g, step, least, most):
    """Return v_hat, the gradients of v, and the sum of those of s: equations 1 to 5."""
    hats, d_values, d_step = [], [], 0.0
    for value, diff in zip(v.ravel().astype(float), g.ravel().astype(float)):
        t = value / float(step)
        rounded = round(min(max(t, least), most))
        hats.append(rounded * float(step))
        if t <= least:
            slope, passes = least, 0
        elif t >= most:
            slope, passes = most, 0
        else:
            slope, passes = rounded - t, 1
        d_values.append(diff * passes)
        d_step += diff * slope
    shape = v.shape
    return np.reshape(hats, shape), np.reshape(d_values, shape), d_step


def batch(seed=0, shape=(4, 3, 5), spread=3.0):
    """Return values, most of them within the grid and some clipped, none at half a step."""
    random = np.random.default_rng(seed)
    t = random.normal(0, spread * 40, shape)
    t += np.where(np.abs(t - np.floor(t) - 0.5) < 0.01, 0.1, 0)
    return (t * STEP).astype(np.float32), random.normal(0, 1, shape).astype(np.float32)


def values(step=STEP):
    return {"step": np.array([step], np.float32)}


@pytest.mark.parametrize(("fixed_min", "limits"), [(False, SIGNED), (True, UNSIGNED)])
def test_activations_are_those_of_the_paper(fixed_min, limits):
    x, g = batch()
    y, *_ = activations.forward(x, 1.0, -1.0, fixed_min, values())
    d_x, d_max, d_min, learned = activations.backward(x, g, 1.0, -1.0, fixed_min, values())
    hats, d_values, d_step = paper(x, g, STEP, *limits)
    np.testing.assert_allclose(y, hats, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(d_x, d_values.astype(np.float32))
    expected = d_step / math.sqrt(15 * limits[1])  # 15 features in an image
    assert learned["step"] == pytest.approx(expected, rel=1e-4)
    assert (d_max, d_min) == (0.0, 0.0)
    assert np.abs(np.round(x / STEP)).max() > limits[1]  # some are clipped


@pytest.mark.parametrize("channel_axis", [None, 0, 1])
def test_weights_are_those_of_the_paper_channel_by_channel(channel_axis):
    w, g = batch(shape=(3, 4, 5))
    channels = 1 if channel_axis is None else w.shape[channel_axis]
    scale = (STEP * np.linspace(1, 2, channels)).astype(np.float32)
    d_w, d_scale = weights.backward(w, g, scale, channel_axis)
    integers = weights.quantize(w, scale, channel_axis)
    for channel in range(channels):
        of = slice(None) if channel_axis is None else channel
        rows = [
            (each if channel_axis is None else np.moveaxis(each, channel_axis, 0))[of]
            for each in (w, g, integers, d_w)
        ]
        hats, d_values, d_step = paper(rows[0], rows[1], scale[channel], *SIGNED)
        np.testing.assert_allclose(rows[2] * scale[channel], hats, rtol=1e-6, atol=1e-9)
        np.testing.assert_array_equal(rows[3], d_values.astype(np.float32))
        expected = d_step / math.sqrt(rows[0].size * 127)
        assert d_scale[channel] == pytest.approx(expected, rel=1e-4)


def test_the_gradient_of_the_step_is_the_finite_difference_with_rounding_held():
    """The surrogate: what rounding adds to v / s is a constant, which passes no gradient."""
    x, g = batch(3)
    t = x.astype(float) / float(STEP)
    added = np.round(t) - t

    def loss(step):
        inside = np.clip(x.astype(float) / step, -128, 127)
        clipped = (inside == -128) | (inside == 127)
        return float((g * (inside + np.where(clipped, 0, added)) * step).sum())

    h = 1e-7
    slope = (loss(float(STEP) + h) - loss(float(STEP) - h)) / (2 * h)
    _, _, _, learned = activations.backward(x, g, 0, 0, False, values())
    assert learned["step"] == pytest.approx(slope / math.sqrt(15 * 127), rel=1e-3)


def test_batch_size_does_not_change_the_gradient_scale():
    x, g = batch()
    twice = [np.concatenate([each, each]) for each in (x, g)]
    one, two = (
        activations.backward(*each, 0, 0, True, values())[3]["step"] for each in ((x, g), twice)
    )
    assert two == pytest.approx(2 * one, rel=1e-6)  # a sum over the batch


@pytest.mark.parametrize(("fixed_min", "most"), [(False, 127), (True, 255)])
def test_the_first_step_is_that_of_the_paper_and_the_mean_over_batches(fixed_min, most):
    x = np.array([[0.0, -1.0], [2.0, 5.0]], np.float32)
    given = {"clip_max": 1.0, "clip_min": 0.0, "fixed_min": fixed_min}
    first = activations.initialise(x, **given, batch=1, values=values(99.0))
    assert first["step"] == pytest.approx(2 * 2 / math.sqrt(most))
    second = activations.initialise(2 * x, **given, batch=2, values=first)
    assert second["step"] == pytest.approx(1.5 * first["step"])


def test_the_first_steps_of_weights_are_those_of_the_paper():
    w = np.array([[1.0, -3.0], [0.0, 0.0]], np.float32)
    assert weights.scales(w, 0) == pytest.approx([2 * 2 / math.sqrt(127), 1.0])
    assert weights.scales(w) == pytest.approx([2 * 1 / math.sqrt(127)])


@pytest.mark.parametrize(("fixed_min", "limits"), [(False, SIGNED), (True, UNSIGNED)])
def test_the_step_of_least_error_is_better_than_its_neighbours(fixed_min, limits):
    x = np.random.default_rng(1).laplace(0, 1, (50, 200)).astype(np.float32)
    x = np.abs(x) if fixed_min else x
    begins = activations.ALGORITHM.bound({"begin": "least_error"})
    (found,) = begins.initialise(x, 0, 0, fixed_min, batch=1, values=values())["step"]

    def error(step):
        y = np.clip(np.rint(x / step), *limits) * step
        return np.square(y - x).mean()

    whole = max(x.max() / limits[1], x.min() / (limits[0] or -1))
    assert whole / 80 < found < whole  # something is clipped
    assert error(found) <= min(error(found - whole / 80), error(found + whole / 80))
    assert error(found) < error(first_of_paper(x, limits[1])) / 4


def first_of_paper(x, most):
    return 2 * np.abs(x).mean() / math.sqrt(most)


def test_weights_have_a_step_of_least_error_per_channel():
    w = np.random.default_rng(2).normal(0, 1, (3, 50)).astype(np.float32)
    w *= np.float32([[1], [10], [0]])
    scales = weights.ALGORITHM.bound({"begin": "least_error"}).scales(w, 0)
    assert scales[2] == 1  # a dead channel
    assert 0.5 < scales[0] * 127 / np.abs(w[0]).max() <= 1
    assert 0.5 < scales[1] * 127 / np.abs(w[1]).max() <= 1


@given(st.floats(-1e6, 1e6, width=32), st.booleans())
def test_whatever_the_solver_makes_of_a_step_the_grid_is_valid(step, fixed_min):
    scale, offset = activations.factors(0, 0, fixed_min, values(step))
    assert affine.FLT_EPSILON <= scale <= 1e6
    assert offset == (-128 if fixed_min else 0)
    x = np.array([[0.0, 1.0]], np.float32)
    y, *found = activations.forward(x, 0, 0, fixed_min, values(step))
    assert tuple(found) == (scale, offset)
    assert np.isfinite(y).all()


def test_a_negative_step_is_led_back():
    x = np.ones((1, 4), np.float32)
    # The loss falls as y grows: the solver subtracts a negative gradient, and the step grows.
    (gradient,) = activations.backward(x, -x, 0, 0, False, values(-0.1))[3]["step"]
    assert gradient < 0


def test_parameters_change_the_formulas_and_are_checked():
    x, g = batch()
    half = activations.ALGORITHM.bound({"gradient_scale": 0.5, "first_step": 1})
    halved = half.backward(x, g, 0, 0, True, values=values())[3]["step"]
    whole = activations.backward(x, g, 0, 0, True, values())[3]["step"]
    assert halved == pytest.approx(whole / 2)
    w = np.array([[1.0, -3.0]], np.float32)
    bound = weights.ALGORITHM.bound({"first_step": 1.0})
    assert bound.scales(w) == pytest.approx(weights.scales(w, parameters=Parameters()) / 2)
    with pytest.raises(ConfigError, match=r"first_step.*-1"):
        weights.ALGORITHM.bound({"first_step": -1.0})
