"""Every case: insert, one training iteration, save, and the fake-quant model against integers.

What must hold of each: exactly the expected layers are quantized; fake-quant model in Caffe and
integer simulation, by either engine, do not differ in one int8 input, int32 accumulator or float
blob; every inferred shape is Caffe's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amct_caffe.frontend import CaffeFrontend
from amct_core.graph.attributes import DeQuant
from amct_core.graph.shapes import infer_shapes
from amct_core.numerics import dequant
from cpu_sim_backend import Simulator
from cpu_sim_backend.engines import chosen_engine
from cpu_sim_backend.report import VerifyReport
from cpu_sim_backend.verify import verify
from tests.conformance.case import Case
from tests.conformance.graph_cases import CASES
from tests.conformance.layer_cases import layer_cases
from tests.conformance.netspec import standing_in, with_caffe
from tests.conformance.runner import Arrays, insert, train

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
    inputs = inserted.inputs(seed=2, spread=1.5)
    for engine in engines():
        check_integers(case, verify(prefix, inputs, engine=engine))
        check_every_blob(prefix, inputs, engine)
    check_shapes(inserted.path("net.prototxt"), caffe)


def engines() -> list[str]:
    """Return both engines, or the reference alone where the libraries of the other are missing."""
    return list(dict.fromkeys(["reference", chosen_engine("auto")]))


def check_integers(case: Case, report: VerifyReport) -> None:
    expected = case.enable or case.quantized
    assert tuple(layer.name for layer in report.layers) == expected
    for layer in report.layers:
        assert layer.accumulator_mismatches == 0, layer
        assert bool(layer.inexact_upstream) == (layer.name in case.inexact)
    assert report.exact, report


def check_every_blob(prefix: str, inputs: Arrays, engine: str) -> None:
    """Assert that each float blob is Caffe's, to the bit where the simulator claims so.

    It does not behind a layer whose order of additions a BLAS decides.  What lies between Quant
    and DeQuant is another matter, which :func:`check_integers` has seen to.
    """
    files = f"{prefix}_deploy_model.prototxt", f"{prefix}_deploy_weights.caffemodel"
    simulator = Simulator(*files, engine=engine)
    blobs = {v.name for n in simulator.graph.nodes for v in n.outputs}
    blobs -= set(simulator.integer_blobs)
    found = simulator.run(inputs, sorted(blobs))
    executor = CaffeFrontend().fake_quant_executor(prefix)
    expected = executor.run(inputs, sorted(blobs))
    for blob, array in found.items():
        assert array.dtype == np.float32, blob
        if not simulator.inexact_layers(blob):
            np.testing.assert_array_equal(array, expected[blob], f"{blob}, {engine}")


WITHOUT_N = [
    case
    for case in layer_cases()
    if case.config["shift_n_algo"] == "none" and not case.name.startswith("pooling")
]


@pytest.mark.parametrize("case", WITHOUT_N, ids=str)
def test_folding_changes_nothing_but_the_rounding_of_the_bias(
    case: Case, tmp_path: Path, caffe: Any
) -> None:
    """What is deployed is what was trained in every channel, with gammas below zero and at zero."""
    inserted = insert(case, tmp_path, caffe)
    net = train(inserted, caffe).test_nets[0]
    inputs = inserted.inputs(seed=2, spread=1.5)
    net.blobs["data"].data[...] = inputs["data"]
    net.forward()
    prefix = inserted.save()
    simulator = Simulator(f"{prefix}_deploy_model.prototxt", f"{prefix}_deploy_weights.caffemodel")
    (output,) = simulator.outputs
    deployed = simulator.run(inputs)[output]
    trained = net.blobs[output].data
    (dequant_node,) = (n for n in simulator.graph.nodes if isinstance(n.attributes, DeQuant))
    deq_scale, _, _ = dequant.unpack(dequant_node.weights[0])
    # The integer bias is rounded to a multiple of deq_scale; what follows only shrinks values.
    step = deq_scale.reshape((1, -1) + (1,) * (deployed.ndim - 2))
    tolerance = step / 2 + 2e-6 * np.abs(trained).max()
    assert (np.abs(deployed - trained) <= tolerance).all()


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
