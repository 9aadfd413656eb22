"""The simulator as an engine of post-training quantization, against real Caffe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amct_core import record as records
from amct_core.graph import Value
from amct_core.plugins import registries
from amct_core.ptq import workflow
from amct_core.ptq.calibration import calibrate
from amct_core.ptq.from_record import quantized_model
from amct_core.ptq.plan import make_plan
from cpu_sim_backend import Simulator
from cpu_sim_backend.ptq import SimulatorEngine
from plugins.amct_caffe.tests.ptq import networks
from plugins.amct_caffe.tests.ptq.networks import arrays, run

caffe = pytest.importorskip("caffe")

pytestmark = pytest.mark.caffe

MODIFIED = "tmp/modified.prototxt", "tmp/modified.caffemodel"
RECORD = "tmp/record.txt"


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> workflow.PtqNetwork:
    """Return a network that has been calibrated in Caffe, with the record in :data:`RECORD`."""
    monkeypatch.chdir(tmp_path)
    files = networks.write(tmp_path)
    started = workflow.start_with(networks.config(), "c.json", *files, RECORD)
    workflow.calibration_network(started, *MODIFIED)
    net = caffe.Net(*MODIFIED, caffe.TEST)
    for seed in range(started.config.batch_num):
        run(net, arrays(seed))
    return started


@pytest.mark.parametrize("engine", ["reference", "auto"])
def test_the_record_is_that_of_caffe(network, engine: str) -> None:
    plan = make_plan(network.graph, network.config, network.record_file, registries())
    found = calibrate(plan, [arrays(0), arrays(1)], SimulatorEngine(engine))
    expected = records.read(RECORD)
    assert list(found) == list(expected)
    for name in expected:
        ours, caffes = found.get(name), expected.get(name)
        assert ours.scale_d == pytest.approx(caffes.scale_d, rel=1e-5)
        assert ours.offset_d == caffes.offset_d
        assert (ours.scale_w, ours.channels, ours.height, ours.width) == (
            *(caffes.scale_w, caffes.channels, caffes.height, caffes.width),
        )


def test_a_quantized_model_in_memory_computes_what_its_files_do(network) -> None:
    workflow.save(network, "Deploy", "m", "ascend")
    algorithms = dict.fromkeys(
        network.config.enabled, registries().weight_algorithms.get("arq_retrain")
    )
    model = quantized_model(network.graph, records.read(RECORD), algorithms, RECORD)
    in_memory = SimulatorEngine().prepare(model, [Value("prob"), Value("ip_n")])(arrays(7))
    saved = Simulator("m_deploy_model.prototxt", "m_deploy_weights.caffemodel").run(arrays(7))
    np.testing.assert_array_equal(in_memory[Value("prob")], saved["prob"])
