"""Each layer type computes in float32 what real Caffe computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from amct_core.plugins import registries
from cpu_sim_backend.simulator import Simulator
from plugins.cpu_sim_backend.tests.layers import cases
from plugins.cpu_sim_backend.tests.layers.drawn import convolutions, few, poolings
from plugins.cpu_sim_backend.tests.layers.one_layer import Case, build, tops

TOLERANCE = 1e-6  # of the largest magnitude, where libm or a BLAS fixes the last bits


def assert_like_caffe(caffe: Any, case: Case, folder: Path) -> None:
    """Compare all values: exactly for layers that say so."""
    built = build(caffe, case, folder)
    simulator = Simulator(built.prototxt, built.caffemodel)
    found = simulator.run(built.inputs, tops(case))
    node = simulator.graph.nodes[-1]
    exact = node.type.is_exact(node)
    for name, expected in built.outputs.items():
        assert found[name].shape == expected.shape
        assert found[name].dtype == np.float32
        if exact:
            # Equal except for the sign of a zero, which a BLAS sets as it likes.
            np.testing.assert_array_equal(found[name], expected)
        else:
            error = np.abs(found[name].astype(np.float64) - expected).max(initial=0)
            assert error <= TOLERANCE * np.abs(expected).max(initial=0)


@pytest.mark.caffe
@pytest.mark.parametrize("case", cases.SIMULATED, ids=lambda case: case.label)
def test_layer_computes_what_caffe_computes(caffe: Any, case: Case, tmp_path: Path) -> None:
    assert_like_caffe(caffe, case, tmp_path)


@pytest.mark.caffe
@few
@given(case=poolings())
def test_any_pooling_computes_what_caffe_computes(caffe: Any, case: Case, tmp_path: Path) -> None:
    assert_like_caffe(caffe, case, tmp_path)


@pytest.mark.caffe
@few
@given(case=convolutions())
def test_any_convolution_computes_what_caffe_computes(
    caffe: Any, case: Case, tmp_path: Path
) -> None:
    assert_like_caffe(caffe, case, tmp_path)


@pytest.mark.caffe
@pytest.mark.lacks("PriorBox")
def test_every_simulated_layer_type_that_caffe_has_is_compared(caffe: Any) -> None:
    simulated = {each.name for each in registries().layer_types if each.run is not None}
    here = set(caffe.layer_type_list())
    assert simulated & here == {case.kind for case in cases.SIMULATED} & here
