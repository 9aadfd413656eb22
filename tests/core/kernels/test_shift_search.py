"""The compiled search for N beside its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.errors import QuantizationError
from amct_core.kernels import shift_search as kernel
from amct_core.kernels import threads
from amct_core.numerics import shift_search
from tests.core.kernels.drawn import LARGEST, SMALLEST, arrays

pytest.importorskip("numba")

PAIRS = [
    (kernel.TruncatingShiftSearch, shift_search.TruncatingShiftSearch),
    (kernel.FlooringShiftSearch, shift_search.FlooringShiftSearch),
]


@pytest.mark.parametrize(("compiled", "definition"), PAIRS)
@given(
    batches=st.lists(arrays((LARGEST, -LARGEST, SMALLEST, 2.0**31, -(2.0**31))), max_size=1),
    seed=st.integers(0, 2**16),
    spread=st.sampled_from([0.5, 40.0, 3e4, 1e6, 3e9]),
    one_scale=st.booleans(),
    broadcast=st.booleans(),
)
def test_errors_and_choices_are_those_of_the_definition(
    compiled: type,
    definition: type,
    batches: list,
    seed: int,
    spread: float,
    one_scale: bool,
    broadcast: bool,
) -> None:
    generator = np.random.default_rng(seed)
    channels = batches[0].shape[1] if batches else 5
    batches += [(generator.normal(0, spread, (2, channels, 7, 3))).astype(np.float32)] * 2
    deq_scale = np.exp2(generator.normal(-3, 3, 1 if one_scale else channels)).astype(np.float32)
    searches = [search(deq_scale, broadcast) for search in (compiled, definition)]
    for batch in batches:
        for search in searches:
            search.observe(batch)
    found, expected = (search._errors.sums for search in searches)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)
    np.testing.assert_array_equal(*(search.result() for search in searches))


@pytest.mark.parametrize(("compiled", "definition"), PAIRS)
def test_quotients_of_negative_accumulators_round_as_in_the_definition(
    compiled: type, definition: type
) -> None:
    y = np.arange(-70_000, 70_000, 0.5, dtype=np.float32).reshape(1, 1, -1)
    sums = []
    for search in (compiled(1.0), definition(1.0)):
        search.observe(y)
        sums.append(search._errors.sums)
    np.testing.assert_array_equal(*sums)  # whole numbers, so exact in any order


def test_what_the_definition_refuses_is_refused() -> None:
    with pytest.raises(QuantizationError, match="NaN or infinite"):
        kernel.FlooringShiftSearch(1.0).observe(np.float32([[np.nan]]))
    with pytest.raises(QuantizationError, match="one per channel"):
        kernel.FlooringShiftSearch(np.ones(3)).observe(np.ones((4, 2, 3), np.float32))


def test_results_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    y = np.random.default_rng(3).normal(0, 1e5, (3, 11, 20_000)).astype(np.float32)
    results = set()
    for count in (1, 2, 3, 7):
        monkeypatch.setattr(threads, "_default_threads", lambda count=count: count)
        search = kernel.TruncatingShiftSearch(np.linspace(0.1, 2, 11))
        search.observe(y)
        results.add(search._errors.sums.tobytes())
    assert len(results) == 1


def test_without_numba_the_definition_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "load", lambda name: None)
    y = np.random.default_rng(3).normal(0, 1e5, (3, 4, 50)).astype(np.float32)
    for compiled, definition in PAIRS:
        searches = compiled(np.ones(4)), definition(np.ones(4))
        for search in searches:
            search.observe(y)
        np.testing.assert_array_equal(*(search._errors.sums for search in searches))
