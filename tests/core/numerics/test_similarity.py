"""AMCT's cosine similarity: ``0.5 + 0.5 cos``, 1 for a zero reference, 0 for a zero output."""

from __future__ import annotations

import numpy as np
import pytest

from amct_core.numerics.similarity import cosine


@pytest.mark.parametrize(
    ("reference", "other", "score"),
    [
        ([1, 0], [2, 0], 1.0),
        ([1, 0], [-3, 0], 0.0),
        ([1, 0], [0, 5], 0.5),
        ([1, 0], [1, 1], 0.5 + 0.5 / np.sqrt(2)),
        ([0, 0], [1, 2], 1.0),
        ([0, 0], [0, 0], 1.0),
        ([1, 2], [0, 0], 0.0),
    ],
)
def test_the_angle_decides(reference: list[float], other: list[float], score: float) -> None:
    result = cosine(np.array([reference], np.float32), np.array([other], np.float32))
    assert result == pytest.approx(score, abs=1e-15)


@pytest.mark.parametrize("size", [1e-300, 1e-38, 1e38, 1e300])
def test_sizes_do_not_matter_and_no_score_is_above_one(size: float) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 5))
    assert cosine(x * size, x) == pytest.approx(1.0)
    assert cosine(x * size, x) <= 1.0
