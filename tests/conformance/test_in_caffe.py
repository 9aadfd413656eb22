"""Every network: insert, one training iteration, save, and the fake-quant model against integers.

What must hold of each: exactly the expected layers are quantized; fake-quant model in Caffe and
integer simulation, by either engine, do not differ in one int8 input, int32 accumulator or float
blob; every inferred shape is Caffe's own; folding changes no more than the rounding of the bias.
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
from cpu_sim_backend.float_comparison import other_bits
from cpu_sim_backend.report import VerifyReport
from cpu_sim_backend.verify import compare
from tests import needs
from tests.conformance.case import Case
from tests.conformance.netspec import standing_in, with_caffe
from tests.conformance.networks import NETWORKS
from tests.conformance.runner import Arrays, Inserted, deployable, insert, train

pytestmark = pytest.mark.caffe


@pytest.fixture(scope="module")
def caffe() -> Any:
    """Return Caffe."""
    from amct_caffe.runtime.pycaffe import caffe

    return caffe


@pytest.mark.parametrize("case", [case for case in NETWORKS if case.trains], ids=str)
def test_conformance(case: Case, tmp_path: Path, caffe: Any) -> None:
    needs.require_known(standing_in(case.build))
    check_stand_in_for_netspec(case, caffe)
    inserted = insert(case, tmp_path, caffe)
    assert set(inserted.expected) <= set(inserted.quantizable)
    if not case.enable:
        assert inserted.quantizable == case.quantized
    solver = train(inserted, caffe)
    assert np.isfinite([blob.data for blob in solver.net.blobs.values() if blob.count == 1]).all()
    prefix = inserted.save()
    # Wider than in training, so that values beyond the bounds are met, too.
    inputs = inserted.inputs(seed=2, spread=1.5)
    executor = CaffeFrontend().fake_quant_executor(prefix)
    for engine in engines():
        simulator = Simulator(*deployable(prefix), engine=engine)
        check_integers(case, compare(executor, simulator, inputs))
        check_every_blob(simulator, executor, inputs)
    check_shapes(inserted, caffe)
    if case.config.get("shift_n_algo") == "none" and not case.name.startswith("pooling"):
        check_folding(simulator, solver.test_nets[0], inputs)


def check_stand_in_for_netspec(case: Case, caffe: Any) -> None:
    """Assert that the tests without Caffe have the same network."""
    from google.protobuf import text_format

    parsed = text_format.Parse(standing_in(case.build), caffe.proto.caffe_pb2.NetParameter())
    assert parsed == with_caffe(case.build, caffe)


def engines() -> list[str]:
    """Return both engines, or the reference alone where the libraries of the other are missing."""
    return list(dict.fromkeys(["reference", chosen_engine("auto")]))


def check_integers(case: Case, report: VerifyReport) -> None:
    expected = case.enable or case.quantized
    assert tuple(layer.name for layer in report.layers) == expected
    for layer in report.layers:
        assert layer.accumulator_mismatches == 0, layer
        assert bool(layer.inexact_upstream) == (layer.name in case.inexact)
    assert report.exact_integers or case.inexact, report
    assert report.passed, report
    for output in report.outputs:
        assert output.mismatches == 0 or output.inexact_upstream, output


def check_every_blob(simulator: Simulator, executor: Any, inputs: Arrays) -> None:
    """Assert that each float blob is Caffe's, to the bit where the simulator claims so.

    It does not behind a layer whose order of additions a BLAS decides.  What lies between Quant
    and DeQuant is another matter, which :func:`check_integers` has seen to.
    """
    blobs = {v.name for n in simulator.graph.nodes for v in n.outputs}
    blobs -= set(simulator.integer_blobs)
    expected = executor.run(inputs, sorted(blobs))
    for blob, array in simulator.run(inputs, sorted(blobs)).items():
        assert array.dtype == np.float32, blob
        if not simulator.inexact_layers(blob):
            different = other_bits(array, expected[blob])
            assert not different.any(), (blob, simulator.engine, array[different][:3])


def check_folding(simulator: Simulator, trained: Any, inputs: Arrays) -> None:
    """Assert that what is deployed is what was trained, but for the rounding of the bias.

    In every channel, with gammas below zero and at zero.
    """
    trained.blobs["data"].data[...] = inputs["data"]
    trained.forward()
    (output,) = simulator.outputs
    deployed, expected = simulator.run(inputs)[output], trained.blobs[output].data
    (dequant_node,) = (n for n in simulator.graph.nodes if isinstance(n.attributes, DeQuant))
    deq_scale, _, _ = dequant.unpack(dequant_node.weights[0])
    # The integer bias is rounded to a multiple of deq_scale; what follows only shrinks values.
    step = deq_scale.reshape((1, -1) + (1,) * (deployed.ndim - 2))
    tolerance = step / 2 + 2e-6 * np.abs(expected).max()
    assert (np.abs(deployed - expected) <= tolerance).all()


def check_shapes(inserted: Inserted, caffe: Any) -> None:
    """Assert that shape inference gives what Caffe has, for every blob of both phases."""
    frontend, model = CaffeFrontend(), inserted.path("net.prototxt")
    states = frontend.states_of(inserted.path("solver.prototxt"))
    views = frontend.read(model, None, states)
    document = views.source.document
    for graph, phase in ((views.train, "TRAIN"), (views.test, "TEST")):
        state = document.state_in(phase)
        stages = list(state.stages)
        net = caffe.Net(model, getattr(caffe, phase), level=state.level, stages=stages)
        inferred = infer_shapes(graph, {})
        for node in graph.nodes:
            for value in node.outputs:
                assert inferred.get(value) == tuple(net.blobs[value.name].shape), (node, value)
