"""Models of our own as Ascend processors compute them: simulation and lint agree."""

from __future__ import annotations

import numpy as np

from amct_core.extensions.processor_family import INTEGERS
from amct_core.graph import Node
from amct_core.graph.attributes import DeQuant, Quant
from ascend_backend.lint import lint
from ascend_backend.targets import find_target
from cpu_sim_backend import Simulator
from tests.conformance.runner import Saved

ONE_OF_EACH_FAMILY = "Ascend310", "Ascend310P3", "Ascend310B1", "Ascend910B1"


def what_the_lint_says_is_rolled_back_runs_in_float16(saved: Saved) -> None:
    found = lint(*saved.files, find_target("Ascend310P3"))
    named = {each.problem.layer for each in found if each.rule.id in ("A092", "A095")}
    simulator = Simulator(*saved.files, soc_version="Ascend310P3")
    assert simulator.device is not None
    deviations = {each.field: each.layers for each in simulator.device.deviations}
    assert set(deviations["rolls_back"]) == named
    assert {layer.name for layer in simulator.quantized_layers}.isdisjoint(named)
    quants = {n.name for n in simulator.graph.nodes if isinstance(n.attributes, Quant)}
    assert set(deviations["quantizes_in_fp16"]) == quants - requantized(simulator)
    for blob, array in simulator.run(saved.inputs).items():
        exact = saved.blobs[blob]
        assert (array.dtype, array.shape) == (exact.dtype, exact.shape)
        assert np.isfinite(array).all()


def on_a_fix_pipe_n_is_0_and_deq_scale_has_19_bits(saved: Saved) -> None:
    simulator = Simulator(*saved.files, soc_version="Ascend310B1")
    for node in simulator.graph.nodes:
        if isinstance(node.attributes, DeQuant):
            assert all(int(word) < 2**32 and int(word) % 2**13 == 0 for word in node.weights[0])


def requantized(simulator: Simulator) -> set[str]:
    """Return the Quants that only pass on what a DeQuant has made of the int32."""
    nodes = {value.name: n for n in simulator.graph.nodes for value in n.outputs}
    quants = [n for n in simulator.graph.nodes if isinstance(n.attributes, Quant)]
    return {n.name for n in quants if _gives_integers(nodes, n.bottoms[0])}


def _gives_integers(nodes: dict[str, Node], blob: str) -> bool:
    node = nodes[blob]
    if isinstance(node.attributes, DeQuant):
        return node.attributes.gives == INTEGERS
    passes_on = node.op in ("ReLU", "Concat")
    return passes_on and all(_gives_integers(nodes, each) for each in node.bottoms)


def engines_agree_on_every_processor(saved: Saved) -> None:
    for soc_version in ONE_OF_EACH_FAMILY:
        reference = Simulator(*saved.files, engine="reference", soc_version=soc_version)
        names = sorted({value.name for n in reference.graph.nodes for value in n.outputs})
        fast = Simulator(*saved.files, engine="fast", soc_version=soc_version)
        expected = reference.run(saved.inputs, names)
        for wanted in (names, fast.outputs):
            for blob, array in fast.run(saved.inputs, wanted).items():
                message = f"{blob}, {soc_version}"
                np.testing.assert_array_equal(array, expected[blob], message)
