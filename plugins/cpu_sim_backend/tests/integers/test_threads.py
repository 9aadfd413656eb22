"""The fast engine works with the threads that BLAS and the kernels of training are told to use."""

from __future__ import annotations

import numpy as np
import pytest

from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Input
from amct_core.plugins import registries
from cpu_sim_backend import Simulator

VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


@pytest.mark.parametrize("variable", VARIABLES)
def test_one_setting_is_obeyed(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    numba = pytest.importorskip("numba")
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "1")
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    declared = registries().layer_type
    nodes = [
        Node("data", declared("Input"), [], ["data"], Input(((1, 2),))),
        Node("abs", declared("AbsVal"), ["data"], ["abs"]),
    ]
    simulator = Simulator.from_graph(Graph("net", nodes, "net.prototxt"), "fast")
    simulator.run({"data": np.ones((1, 2), np.float32)})
    assert numba.get_num_threads() == 1
