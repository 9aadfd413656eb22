"""A Deconvolution with groups takes over what stands behind it, and stays exact in integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amct_core.config.ptq import PtqConfig, PtqLayer, PtqWeight
from amct_core.ptq import workflow
from cpu_sim_backend.verify import verify
from plugins.amct_caffe.tests.ptq import networks
from plugins.amct_caffe.tests.ptq.networks import arrays, input_layer, normalized, run
from plugins.amct_caffe.tests.qat.nets import layer

caffe = pytest.importorskip("caffe")

pytestmark = pytest.mark.caffe

MODIFIED = "modified.prototxt", "modified.caffemodel"


def network(outputs: int, group: int, behind: str) -> str:
    """Return a Deconvolution of 6 channels with ``behind`` behind it, and a pooling to quantize."""
    fillers = 'weight_filler { type: "gaussian" std: 0.4 } bias_filler { type: "gaussian" }'
    body = (
        f"convolution_param {{ num_output: {outputs} group: {group} kernel_size: 3 stride: 2 "
        f"pad: 1 {fillers} }}"
    )
    wide = layer("wide", "Concat", ["data", "other"])
    up = layer("up", "Deconvolution", ["wide"], ["up"], body)
    pool = "pooling_param { pool: AVE kernel_size: 2 stride: 2 }"
    end = layer("pool", "Pooling", ["up"], ["pool"], pool)
    return 'name: "up"\n' + input_layer("data") + input_layer("other") + wide + up + behind + end


BOTH = normalized("up", "up", "up")
CASES = {
    "both": BOTH,
    "BatchNorm": BOTH.split("layer {", 2)[0] + "layer {" + BOTH.split("layer {", 2)[1],
    "Scale": "layer {" + BOTH.split("layer {", 2)[2],
}


def files_of(tmp_path: Path, outputs: int, group: int, behind: str) -> tuple[str, str]:
    return networks.write(tmp_path, network(outputs, group, behind))


@pytest.mark.parametrize("behind", CASES.values(), ids=list(CASES))
@pytest.mark.parametrize(
    ("outputs", "group"), [(4, 2), (9, 3), (6, 6)], ids=["halves", "thirds", "depthwise"]
)
def test_fused_it_computes_in_caffe_what_the_layers_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outputs: int, group: int, behind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    files = files_of(tmp_path, outputs, group, behind)
    expected = run(caffe.Net(*files, caffe.TEST), arrays(1))["pool"]
    config = PtqConfig(batch_num=1, layers={"pool": PtqLayer()})
    fused = workflow.start_with(config, "c.json", *files, "record.txt")
    assert [node.name for node in fused.graph.nodes] == ["data", "other", "wide", "up", "pool"]
    workflow.calibration_network(fused, *MODIFIED)
    found = run(caffe.Net(*MODIFIED, caffe.TEST), arrays(1))["pool"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_quantized_it_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = files_of(tmp_path, 4, 2, BOTH)
    layers = {"up": PtqLayer(weight=PtqWeight(channel_wise=False)), "pool": PtqLayer()}
    quantized = workflow.start_with(
        PtqConfig(batch_num=1, layers=layers), "c.json", *files, "record.txt"
    )
    workflow.calibration_network(quantized, *MODIFIED)
    run(caffe.Net(*MODIFIED, caffe.TEST), arrays(0))
    workflow.save(quantized, "Both", "model", "amct")
    report = verify("model", arrays(3))
    assert report.exact
    assert [each.name for each in report.layers] == ["up", "pool"]
