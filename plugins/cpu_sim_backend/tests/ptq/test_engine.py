"""The simulator as an engine of post-training quantization, against real Caffe."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import pytest

from amct_core import record as records
from amct_core.config.ptq import PtqActivation
from amct_core.errors import ConfigError
from amct_core.graph import Value
from amct_core.numerics.shift_search import TruncatingShiftSearch
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


def test_shift_n_is_searched_over_what_the_calibrated_network_gives(network) -> None:
    plan = make_plan(network.graph, network.config, network.record_file, registries())
    record = calibrate(plan, [arrays(0), arrays(1)], SimulatorEngine(), "search_n")
    net, searches = caffe.Net(*MODIFIED, caffe.TEST), {}
    for seed in (0, 1):
        run(net, arrays(seed))
        for name in ("first", "second", "ip"):
            entry = record.get(name)
            deq_scale = np.float32(entry.scale_d) * np.asarray(entry.scale_w, np.float32)
            search = searches.setdefault(name, TruncatingShiftSearch(deq_scale))
            search.observe(net.blobs[{"ip": "ip_n"}.get(name, name)].data)
    for name, search in searches.items():
        assert record.get(name).shift_bit == tuple(search.result())
    assert record.get("grouped").shift_bit != ()
    assert record.get("pool").shift_bit == ()


def test_what_compares_outputs_is_refused_in_caffe_before_anything_is_written(network) -> None:
    best = attrs.evolve(network.config.layers["left"], activation=PtqActivation("best"))
    config = network.config.with_layers({**network.config.layers, "left": best})
    started = workflow.start_with(
        config, "c.json", network.model_file, network.weights_file, "tmp/other.txt"
    )
    with pytest.raises(ConfigError, match=r"a calibration in\s+the framework sees their inputs"):
        workflow.calibration_network(started, "tmp/b.prototxt", "tmp/b.caffemodel")
    assert not Path("tmp/b.prototxt").exists()
