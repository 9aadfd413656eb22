"""Every case: insert, one training iteration, save, and the fake-quant model against integers.

What must hold of each: exactly the expected layers are quantized; fake-quant model in Caffe and
integer simulation do not differ in one int8 input or int32 accumulator; every inferred shape is
Caffe's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amct_caffe.frontend import CaffeFrontend
from amct_core.graph.shapes import infer_shapes
from cpu_sim_backend.verify import verify
from tests.conformance.case import Case
from tests.conformance.graph_cases import CASES
from tests.conformance.layer_cases import layer_cases
from tests.conformance.netspec import standing_in, with_caffe
from tests.conformance.runner import insert, train

pytestmark = pytest.mark.caffe

ALL = [case for case in (*layer_cases(), *CASES) if case.trains]


@pytest.fixture(scope="module")
def caffe() -> Any:
    """Return Caffe."""
    from amct_caffe.runtime.pycaffe import caffe

    return caffe


@pytest.mark.parametrize("case", ALL, ids=str)
def test_conformance(case: Case, tmp_path: Path, caffe: Any) -> None:
    inserted = insert(case, tmp_path, caffe)
    expected = case.enable or case.quantized
    assert set(expected) <= set(inserted.quantizable)
    if not case.enable:
        assert inserted.quantizable == case.quantized
    solver = train(inserted, caffe)
    assert np.isfinite([blob.data for blob in solver.net.blobs.values() if blob.count == 1]).all()
    prefix = inserted.save()
    # Wider than in training, so that values beyond the bounds are met, too.
    report = verify(prefix, inserted.inputs(seed=2, spread=1.5))
    assert tuple(layer.name for layer in report.layers) == expected
    for layer in report.layers:
        if layer.name not in case.inexact:
            assert layer.exact, layer
    if not case.inexact:
        assert report.exact, report.outputs
    check_shapes(inserted.path("net.prototxt"), caffe)


def check_shapes(model: str, caffe: Any) -> None:
    """Assert that shape inference gives what Caffe has, for every blob of both phases."""
    views = CaffeFrontend().read(model)
    for graph, phase in ((views.train, caffe.TRAIN), (views.test, caffe.TEST)):
        net = caffe.Net(model, phase)
        inferred = infer_shapes(graph, {})
        for node in graph.nodes:
            for value in node.outputs:
                assert inferred.get(value) == tuple(net.blobs[value.name].shape), (node, value)


@pytest.mark.parametrize("case", [case for case in CASES if case.trains], ids=str)
def test_the_stand_in_for_netspec_makes_the_same_network(case: Case, caffe: Any) -> None:
    same_network(case, caffe)


def test_the_stand_in_for_netspec_makes_the_same_layers(caffe: Any) -> None:
    for case in layer_cases():
        same_network(case, caffe)


def same_network(case: Case, caffe: Any) -> None:
    from google.protobuf import text_format

    parsed = text_format.Parse(standing_in(case.build), caffe.proto.caffe_pb2.NetParameter())
    assert parsed == with_caffe(case.build, caffe)
