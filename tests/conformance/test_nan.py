"""A NaN that comes in through a residual sum is an error in both engines, and none is swallowed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amct_core.errors import QuantizationError
from cpu_sim_backend import Simulator
from tests.conformance.building import convolution, source
from tests.conformance.case import Case
from tests.conformance.runner import insert, pretend_training


def build(n, L, P) -> None:
    data, other = source(n, L, 1, 3, 6, 6), source(n, L, 1, 4, 6, 6, name="other")
    n.sum = L.Eltwise(convolution(n, L, data, "one", 4), other)
    n.two = L.Convolution(n.sum, num_output=2, kernel_size=1)


@pytest.mark.parametrize("engine", ["reference", "fast"])
def test_it_is_refused_and_the_quant_is_named(engine: str, tmp_path: Path) -> None:
    if engine == "fast":
        pytest.importorskip("numba")
    case = Case("a sum with an input", build, ("one", "two"))
    inserted = insert(case, tmp_path)
    pretend_training(tmp_path)
    prefix = inserted.save()
    files = f"{prefix}_deploy_model.prototxt", f"{prefix}_deploy_weights.caffemodel"
    simulator = Simulator(*files, engine=engine)
    inputs = inserted.inputs(seed=1)
    simulator.run(inputs)
    inputs["other"][0, 2, 3, 3] = np.nan
    with pytest.raises(QuantizationError, match="NaN") as caught:
        simulator.run(inputs)
    assert caught.value.layer == "two_0_quant_layer"
