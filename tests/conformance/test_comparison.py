"""What the comparison makes of differences: on the same inputs, and running freely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amct_core.extensions.frontend import Executor
from cpu_sim_backend import Simulator
from cpu_sim_backend.report import VerifyReport
from cpu_sim_backend.verify import compare
from tests.conformance.networks import named
from tests.conformance.runner import Inserted, insert, pretend_training

Arrays = Mapping[str, np.ndarray]


class Framework(Executor):
    """Stands in for Caffe: the simulation itself, with chosen faults in the layer ``two``.

    Its outputs follow from the int8 that it has, times ``factor``.
    """

    def __init__(
        self, simulator: Simulator, other_input: bool, other_sum: bool, factor: float = 1
    ) -> None:
        self._simulator = simulator
        self._other_input, self._other_sum = other_input, other_sum
        self._factor = np.float32(factor)

    @property
    def inputs(self) -> Sequence[str]:
        return list(self._simulator.inputs)

    @property
    def outputs(self) -> Sequence[str]:
        return self._simulator.outputs

    def run(self, data: Arrays, blobs: Sequence[str]) -> Arrays:
        found = dict(self._simulator.run(data, blobs))
        integers = {}
        for layer in self._simulator.quantized_layers:
            node = layer.node
            q = found[node.bottoms[0]].copy()
            if node.name == "two" and self._other_input:
                q.flat[7] += 1 if q.flat[7] < 127 else -1
            integers[node.name] = q
            sums = self._simulator.accumulators(node.name, q) - node.weights[1].reshape(1, -1, 1, 1)
            if node.name == "two" and self._other_sum:
                sums.flat[5] += 1
            found[node.bottoms[0]] = q.astype(np.float32) - layer.offset
            found[node.tops[0]] = sums.astype(np.float32)
        values = self._simulator.computed_outputs
        for value, array in self._simulator.run_on_integers(data, integers, values).items():
            found[value.name] = array * self._factor
        return found


@pytest.fixture(params=["normalisation across channels", "a long chain in place"])
def inserted(request: pytest.FixtureRequest, tmp_path: Path) -> Inserted:
    """Return a network whose layer ``two`` stands behind an LRN, or one without such a layer."""
    inserted = insert(named(request.param), tmp_path)
    pretend_training(tmp_path)
    return inserted


def report(inserted: Inserted, **faults: Any) -> VerifyReport:
    prefix = inserted.save()
    files = f"{prefix}_deploy_model.prototxt", f"{prefix}_deploy_weights.caffemodel"
    simulator = Simulator(*files)
    framework = Framework(simulator, **faults)
    return compare(framework, simulator, inserted.inputs(seed=2), batch_size=1)


def test_nothing_differs_without_faults(inserted: Inserted) -> None:
    found = report(inserted, other_input=False, other_sum=False)
    assert (found.exact, found.exact_integers, found.passed) == (True, True, True)
    assert found.inexact_float_layers == tuple(inserted.case.inexact and ("norm",))


def test_another_input_is_excused_only_behind_a_layer_that_is_not_exact(inserted: Inserted) -> None:
    found = report(inserted, other_input=True, other_sum=False)
    (layer,) = (layer for layer in found.layers if layer.name == "two")
    assert layer.input_int8_mismatches == 2, "one in each batch"
    assert layer.accumulator_mismatches == 0, "the layer is judged on the same inputs"
    assert layer.inexact_upstream == tuple(inserted.case.inexact and ("norm",))
    assert not found.exact
    assert not found.exact_integers
    assert found.passed == bool(inserted.case.inexact)


def test_another_sum_of_the_same_inputs_is_never_excused(inserted: Inserted) -> None:
    found = report(inserted, other_input=True, other_sum=True)
    (layer,) = (layer for layer in found.layers if layer.name == "two")
    assert layer.accumulator_mismatches == 2
    assert not found.exact
    assert not found.passed


def test_another_input_does_not_excuse_another_output(inserted: Inserted) -> None:
    """The output is judged on the int8 inputs that the framework's layers had."""
    found = report(inserted, other_input=True, other_sum=False, factor=1 + 1e-5)
    assert found.outputs[0].beyond_tolerance > 0
    assert not found.passed


def test_a_float_that_agrees_to_a_millionth_is_not_exact_and_passes(inserted: Inserted) -> None:
    found = report(inserted, other_input=False, other_sum=False, factor=1 + 2**-22)
    assert found.exact_integers
    assert found.outputs[0].different_values > 0
    assert found.outputs[0].beyond_tolerance == 0
    assert not found.exact
    assert found.passed
