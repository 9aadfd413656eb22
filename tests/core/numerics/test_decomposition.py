"""A kernel as two of lower rank."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amct_core.errors import QuantizationError
from amct_core.numerics.decomposition import decompose, multiplications


def product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the kernel that two convolutions in turn compute."""
    return np.einsum("orj,rci->ocij", second[:, :, 0].astype(float), first[..., 0].astype(float))


def kernel(seed: int, shape: tuple[int, ...], decay: float = 0.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal(size=shape) * np.exp(-decay * np.arange(shape[-1]))


shapes = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(3, 5), st.integers(3, 5))


@given(st.integers(0, 999), shapes, st.floats(0, 1), st.floats(0, 3))
@settings(max_examples=60, deadline=None)
def test_what_is_left_out_is_within_the_energy_and_one_rank_less_is_not(
    seed: int, shape: tuple[int, int, int, int], energy: float, decay: float
) -> None:
    weights = kernel(seed, shape, decay)
    found = decompose(weights)
    rank = found.rank(energy)
    whole = (weights**2).sum()

    def error(rank: int) -> float:
        return float(((product(*found.kernels(rank)) - weights) ** 2).sum())

    assert error(rank) <= (1 - energy) * whole + 1e-9 * whole
    if rank > 1:
        assert error(rank - 1) > (1 - energy) * whole - 1e-9 * whole


@given(st.integers(0, 999), shapes)
@settings(max_examples=30, deadline=None)
def test_at_full_rank_the_kernel_comes_back(seed: int, shape: tuple[int, int, int, int]) -> None:
    weights = kernel(seed, shape)
    found = decompose(weights)
    first, second = found.kernels(found.rank(1.0))
    assert first.shape[1:] == (shape[1], shape[2], 1)
    assert second.shape == (shape[0], first.shape[0], 1, shape[3])
    np.testing.assert_allclose(product(first, second), weights, atol=1e-5)


def test_a_kernel_of_zeros_has_rank_1() -> None:
    assert decompose(np.zeros((2, 3, 3, 3))).rank(0.99) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    weights = np.ones((2, 2, 3, 3))
    weights[1, 0, 2, 2] = value
    with pytest.raises(QuantizationError, match="NaN or infinity"):
        decompose(weights)


def test_multiplications_are_those_of_the_two_convolutions() -> None:
    # 8 outputs, 4 inputs, 3 x 5; stride 2: the first has two columns for one of the output.
    assert multiplications((8, 4, 3, 5), None, 2) == 8 * 4 * 3 * 5
    assert multiplications((8, 4, 3, 5), 6, 2) == 6 * (4 * 3 * 2) + 6 * 8 * 5
