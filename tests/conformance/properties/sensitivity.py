"""Each quantized layer alone, in int8 or in float: computed from there on as in a whole network."""

from __future__ import annotations

import numpy as np

from cpu_sim_backend.analysis.float_network import read_float_network
from cpu_sim_backend.analysis.sensitivity import SensitivityNetworks
from cpu_sim_backend.ptq import SimulatorEngine
from tests.conformance.runner import Saved


def each_layer_alone_gives_what_a_whole_network_with_it_gives(saved: Saved) -> None:
    """In the float network, found by itself from the float files, and in the quantized one."""
    files = ("net.prototxt", "net.caffemodel", "solver.prototxt")
    network = read_float_network(*map(saved.inserted.path, files))
    networks = SensitivityNetworks.of(network, saved.reference.graph, "reference")
    given = {**networks.constants, **saved.inputs}
    for one in (networks.quantized_alone, networks.float_alone):
        assert [change.name for change in one.changes] == list(saved.inserted.expected)
        parts = one.each(one.unchanged(given))
        for change, (name, found) in zip(one.changes, parts):
            whole = SimulatorEngine("reference").prepare(change.whole, one.values)(given)
            assert name == change.name
            for value in one.values:
                np.testing.assert_array_equal(found[value], whole[value])
