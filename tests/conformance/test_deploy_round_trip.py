"""Deployable models that are read and written again: the same files, byte by byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amct_core.files import FileSet
from ascend_backend.reader import read_deploy_model
from ascend_backend.writer import write_deploy_model
from tests.conformance.case import Case
from tests.conformance.graph_cases import CASES
from tests.conformance.layer_cases import layer_cases
from tests.conformance.runner import insert, pretend_training

FILES = ("deploy_model.prototxt", "deploy_weights.caffemodel", "quant.json")


@pytest.mark.parametrize("case", [*layer_cases(), *CASES], ids=str)
def test_round_trip(case: Case, tmp_path: Path) -> None:
    inserted = insert(case, tmp_path)
    pretend_training(tmp_path, searches=inserted.searches)
    inserted.save()
    model = read_deploy_model(inserted.path("saved"))
    assert tuple(layer.name for layer in model.layers) == (case.enable or case.quantized)
    with FileSet() as files:
        write_deploy_model(model, inserted.path("again"), files)
    for file in FILES:
        written, read = (tmp_path / f"{prefix}_{file}" for prefix in ("saved", "again"))
        assert written.read_bytes() == read.read_bytes(), file


def test_layers_come_back_as_floats_of_their_integers(tmp_path: Path) -> None:
    (case,) = (case for case in CASES if case.name == "depthwise separable blocks")
    inserted = insert(case, tmp_path)
    pretend_training(tmp_path)
    inserted.save()
    model = read_deploy_model(inserted.path("saved"))
    for layer in model.layers:
        assert layer.weights is not None and layer.provenance.scale_w is not None
        floats = model.graph.node(layer.name).weights[0]
        scale_w = layer.provenance.scale_w.reshape(-1, 1, 1, 1)
        np.testing.assert_allclose(floats, layer.weights * scale_w, rtol=1e-6)
