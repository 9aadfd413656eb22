"""Models of our own as Ascend processors compute them: simulation and lint agree."""

from __future__ import annotations

import numpy as np

from amct_core.graph.attributes import DeQuant, Quant
from ascend_backend.lint import lint
from ascend_backend.targets import find_target
from cpu_sim_backend import Simulator
from tests.conformance.runner import Saved


def what_the_lint_says_is_rolled_back_runs_in_float16(saved: Saved) -> None:
    found = lint(*saved.files, find_target("Ascend310P3"))
    named = {each.problem.layer for each in found if each.rule.id in ("A092", "A095")}
    simulator = Simulator(*saved.files, soc_version="Ascend310P3")
    assert simulator.device is not None
    deviations = {each.field: each.layers for each in simulator.device.deviations}
    assert set(deviations["rolls_back"]) == named
    assert {layer.name for layer in simulator.quantized_layers}.isdisjoint(named)
    quants = [n for n in simulator.graph.nodes if isinstance(n.attributes, Quant)]
    assert deviations["quantizes_in_fp16"] == tuple(node.name for node in quants)
    for blob, array in simulator.run(saved.inputs).items():
        exact = saved.blobs[blob]
        assert (array.dtype, array.shape) == (exact.dtype, exact.shape)
        assert np.isfinite(array).all()


def on_a_fix_pipe_n_is_0_and_deq_scale_has_19_bits(saved: Saved) -> None:
    simulator = Simulator(*saved.files, soc_version="Ascend310B1")
    for node in simulator.graph.nodes:
        if isinstance(node.attributes, DeQuant):
            assert all(int(word) < 2**32 and int(word) % 2**13 == 0 for word in node.weights[0])
    reference = Simulator(*saved.files, engine="reference", soc_version="Ascend310B1")
    expected = reference.run(saved.inputs)
    for blob, array in simulator.run(saved.inputs).items():
        np.testing.assert_array_equal(array, expected[blob], blob)
