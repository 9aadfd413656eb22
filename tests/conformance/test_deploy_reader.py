"""What reading a deployable model makes of its integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ascend_backend.reader import read_deploy_model
from tests.conformance.networks import named
from tests.conformance.runner import insert, pretend_training


def test_layers_come_back_as_floats_of_their_integers(tmp_path: Path) -> None:
    inserted = insert(named("depthwise separable blocks"), tmp_path)
    pretend_training(tmp_path)
    inserted.save()
    model = read_deploy_model(inserted.path("saved"))
    for layer in model.layers:
        assert layer.weights is not None and layer.provenance.scale_w is not None
        floats = model.graph.node(layer.name).weights[0]
        scale_w = layer.provenance.scale_w.reshape(-1, 1, 1, 1)
        np.testing.assert_allclose(floats, layer.weights * scale_w, rtol=1e-6)
