"""The backend of the hook's documentation reads back what it writes, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from amct_core.files import FileSet
from amct_core.quantized_graph import quantized_graph
from cpu_sim_backend import Simulator
from tests.core.plugins.test_hook_examples import examples

from .small_network import LOGITS, float_network, folded, images, quantized


def test_what_is_read_back_computes_the_same(tmp_path: Path) -> None:
    module: dict[str, object] = {}
    exec(examples("amct_deploy_backends")[1], module)
    (backend,) = module["amct_deploy_backends"]()  # type: ignore[operator]
    data = images(4, 1)
    model = quantized(folded(float_network(1)), data)
    prefix = str(tmp_path / "m")
    assert not backend.recognises(prefix)
    with FileSet() as files:
        backend.write(model, prefix, files)
    assert backend.recognises(prefix)
    written, read = (
        Simulator.from_graph(graph).run_values({"data": data}, [LOGITS])[LOGITS]
        for graph in (quantized_graph(model), backend.read(prefix))
    )
    assert np.array_equal(written, read)
