"""A BatchNorm that is told not to use stored statistics takes those of the batch."""

from __future__ import annotations

import numpy as np
import pytest

from amct_core.graph import Node
from amct_core.graph.attributes import BatchNorm
from amct_core.plugins import registries

# Not compared with Caffe: some builds (kendryte-caffe) take stored statistics in any case.


@pytest.mark.parametrize("shape", [(3, 7), (2, 4, 5, 6), (2, 3, 4)])
def test_batch_statistics_give_mean_0_and_variance_1(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(3).normal(2.5, 4.0, shape).astype(np.float32)
    stored = tuple(np.full(count, 9, np.float32) for count in (shape[1], shape[1], 1))
    kind = registries().layer_type("BatchNorm")
    node = Node("bn", kind, ["x"], ["y"], BatchNorm(0.0, False), stored)
    assert kind.run is not None
    (y,) = kind.run(node, [x])
    others = (0, *range(2, x.ndim))
    np.testing.assert_allclose(y.mean(axis=others), 0, atol=1e-6)
    np.testing.assert_allclose(y.var(axis=others), 1, atol=1e-6)
    assert not kind.is_exact(node)
