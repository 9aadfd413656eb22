"""Arrays that are hard on float32 arithmetic, and that lie about in memory."""

from __future__ import annotations

from typing import Any, Callable, Tuple

import numpy as np
from hypothesis import strategies as st

LARGEST = float(np.finfo(np.float32).max)
SMALLEST = float(np.float32(1e-45))
"""The smallest subnormal number."""


@st.composite
def arrays(
    draw: Callable[[Any], Any],
    extreme: Tuple[float, ...] = (),
    spreads: Tuple[float, ...] = (SMALLEST, 1e-6, 1.0, 100.0, 1e30),
) -> np.ndarray:
    """Draw float32 arrays of two to four axes, often strided, with extreme values among them."""
    shape = draw(st.lists(st.integers(1, 9), min_size=1, max_size=3))
    shape.append(draw(st.sampled_from([1, 3, 64, 257, 5000])))
    spread = draw(st.sampled_from(spreads))
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    values = (generator.normal(0, 1, shape) * spread).astype(np.float32)
    for value in draw(st.lists(st.sampled_from((0.0, -0.0, *extreme)), max_size=5)):
        values.flat[generator.integers(values.size)] = value
    kind = draw(st.sampled_from(["plain", "every other", "turned", "read-only"]))
    if kind == "every other":
        return np.repeat(values, 2, axis=-1)[..., ::2]
    if kind == "turned":
        return np.ascontiguousarray(values.T).T
    values.flags.writeable = kind != "read-only"
    return values


def same_bits(ones: np.ndarray, others: np.ndarray) -> None:
    """Require two float32 arrays to be equal in every bit: 0 is not -0."""
    np.testing.assert_array_equal(
        np.ascontiguousarray(ones).view(np.int32), np.ascontiguousarray(others).view(np.int32)
    )
