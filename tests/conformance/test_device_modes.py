"""Models of our own as Ascend processors compute them: simulation and lint agree on every case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amct_core.graph.attributes import DeQuant, Quant
from ascend_backend.lint import lint
from ascend_backend.targets import find_target
from cpu_sim_backend import Simulator
from tests.conformance.case import Case
from tests.conformance.graph_cases import CASES
from tests.conformance.layer_cases import layer_cases
from tests.conformance.runner import Inserted, insert, pretend_training

ALL = [*layer_cases(), *CASES]


def saved(case: Case, folder: Path) -> tuple[Inserted, tuple[str, str]]:
    """Return the case, and the files of its deployable model."""
    inserted = insert(case, folder)
    pretend_training(folder, searches=inserted.searches)
    prefix = inserted.save()
    return inserted, (f"{prefix}_deploy_model.prototxt", f"{prefix}_deploy_weights.caffemodel")


@pytest.mark.parametrize("case", ALL, ids=str)
def test_what_the_lint_says_is_rolled_back_runs_in_float16(case: Case, tmp_path: Path) -> None:
    inserted, files = saved(case, tmp_path)
    inputs = inserted.inputs(seed=2)
    exact = Simulator(*files, engine="reference").run(inputs)
    found = lint(*files, find_target("Ascend310P3"))
    named = {each.problem.layer for each in found if each.rule.id in ("A092", "A095")}
    simulator = Simulator(*files, soc_version="Ascend310P3")
    assert simulator.device is not None
    deviations = {each.field: each.layers for each in simulator.device.deviations}
    assert set(deviations["rolls_back"]) == named
    assert {layer.name for layer in simulator.quantized_layers}.isdisjoint(named)
    quants = [n for n in simulator.graph.nodes if isinstance(n.attributes, Quant)]
    assert deviations["quantizes_in_fp16"] == tuple(node.name for node in quants)
    for blob, array in simulator.run(inputs).items():
        assert (array.dtype, array.shape) == (exact[blob].dtype, exact[blob].shape)
        assert np.isfinite(array).all()


@pytest.mark.parametrize("case", layer_cases(), ids=str)
def test_on_a_fix_pipe_n_is_0_and_deq_scale_has_19_bits(case: Case, tmp_path: Path) -> None:
    inserted, files = saved(case, tmp_path)
    simulator = Simulator(*files, soc_version="Ascend310B1")
    for node in simulator.graph.nodes:
        if isinstance(node.attributes, DeQuant):
            assert all(int(word) < 2**32 and int(word) % 2**13 == 0 for word in node.weights[0])
    inputs = inserted.inputs(seed=2)
    blobs = simulator.outputs
    reference = Simulator(*files, engine="reference", soc_version="Ascend310B1").run(inputs, blobs)
    for blob, array in simulator.run(inputs, blobs).items():
        np.testing.assert_array_equal(array, reference[blob], blob)
