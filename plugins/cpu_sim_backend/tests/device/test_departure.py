"""How far a processor departs: what is counted, and what is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cpu_sim_backend import ArraySource, Simulator
from cpu_sim_backend.departure import Departure, departure
from cpu_sim_backend.device import as_computed_by
from cpu_sim_backend.report_table import print_departure
from plugins.cpu_sim_backend.tests.device.test_merging import one_layer
from plugins.cpu_sim_backend.tests.device.toy import NO, family, words

HALVES = 'layer { name: "halves" type: "Reshape" bottom: "fc" top: "halves" %s }'
IN_TWO = "reshape_param { shape { dim: 0 dim: 2 dim: 2 } }"


def compared(between: str = "") -> Departure:
    """Return what a processor makes of sums 3, 4, 5, 4 that ignores their N = 1."""
    network = one_layer([3, 4, 5, 4], words([1.0], 1), between)
    device = as_computed_by(network, family(honours_shift_n=NO), "Toy")
    simulator = Simulator.from_graph(device.graph, "reference")
    simulator.device = device
    exact = Simulator.from_graph(network, "reference")
    data = ArraySource({"data": np.zeros((3, 1), np.float32)})
    return departure(exact, simulator, data, 2)


def test_numbers_and_decisions_are_counted_over_all_batches() -> None:
    """N = 1 makes 2, 4, 4, 4 of the sums: the first largest number is another one."""
    found = compared()
    assert found.samples == 3
    (output,) = found.outputs
    assert (output.differing, output.values, output.largest) == (6, 12, 1)
    assert (output.decisions, output.places) == (3, 3)
    assert output.largest_value == 4


def test_an_output_of_three_axes_decides_nothing() -> None:
    """Its classes may lie on any axis: a detector has them on the last one."""
    (output,) = compared(HALVES % IN_TWO).outputs
    assert (output.blob, output.differing) == ("halves", 6)
    assert (output.decisions, output.places) == (0, 0)


def test_names_are_shown_as_they_are(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    found = compared((HALVES % IN_TWO).replace('top: "halves"', 'top: "out[bold][/x]"'))
    print_departure(found)
    out = capsys.readouterr().out
    assert "out[bold][/x]" in out
    assert "6 of 12 (50.000 %)" in out
