"""A record is saved with the weights and the configuration that it was made for, and no others."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

import amct_caffe as amct
from amct_core import record as records
from amct_core.errors import ConfigError, RecordError
from amct_core.ptq import workflow
from plugins.amct_caffe.tests.ptq import networks

caffe = pytest.importorskip("caffe")

pytestmark = pytest.mark.caffe

M, W, C, R = "net.prototxt", "net.caffemodel", "c.json", "r.txt"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with a network and the complete record of a calibration."""
    monkeypatch.chdir(tmp_path)
    networks.write(tmp_path)
    amct.create_quant_config(C, M, W)
    calibrate()
    return tmp_path


def calibrate() -> None:
    graph = amct.init(C, M, W, R)
    amct.quantize_model(graph, "m.prototxt", "m.caffemodel")
    networks.run(caffe.Net("m.prototxt", "m.caffemodel", caffe.TEST), networks.arrays(0))


def save(weights: str = W) -> None:
    network = workflow.reopen(C, M, weights, R)
    workflow.save(network, "Both", "s/m")


def configured(**changes: Any) -> None:
    Path(C).write_text(json.dumps({**json.loads(Path(C).read_text()), **changes}))


def weights_times(factor: float, layer: str = "first") -> str:
    net = caffe.Net(M, W, caffe.TEST)
    net.params[layer][0].data[...] *= factor
    net.save("other.caffemodel")
    return "other.caffemodel"


def edited(change: Callable[[str], str]) -> None:
    Path(R).write_text(change(Path(R).read_text()))


def test_the_weights_and_the_config_of_the_calibration_are_saved() -> None:
    save()
    assert Path("s/m_deploy_model.prototxt").is_file()


def test_other_weights_are_refused_with_both_scales() -> None:
    recorded = records.read(R).get("first").scale_w[0]
    with pytest.raises(RecordError) as caught:
        save(weights_times(50))
    assert (caught.value.layer, caught.value.field) == ("first", "scale_w")
    found = re.search(r"channel 0 is (\S+); .* is (\S+) \(4 of 4", str(caught.value))
    assert found is not None
    assert float(found[1]) == pytest.approx(recorded, rel=1e-5)
    assert float(found[2]) == pytest.approx(50 * recorded, rel=1e-5)
    assert not Path("s").exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"do_fusion": False}, "scale_w"),
        ({"skip_fusion_layers": ["left"]}, "scale_w"),
        ({"activation_offset": False}, "offset_d"),
    ],
)
def test_a_config_that_has_changed_is_refused(changes: dict[str, Any], field: str) -> None:
    configured(**changes)
    with pytest.raises(RecordError) as caught:
        save()
    assert (caught.value.layer, caught.value.field) == ("left", field)


def test_another_choice_of_channel_wise_is_refused() -> None:
    first = json.loads(Path(C).read_text())["first"]
    configured(first={**first, "weight_quant_params": {"channel_wise": False}})
    with pytest.raises(RecordError, match="there are 4 values; expected 1, by channel_wise"):
        save()


def test_offsets_that_are_all_0_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    configured(activation_offset=False)
    calibrate()
    configured(activation_offset=True)
    with caplog.at_level(logging.WARNING, "amct_core.ptq"):
        save()
    assert "every offset_d is 0" in caplog.text


def test_scales_that_differ_by_rounding_are_the_same() -> None:
    record = records.read(R)
    entry = record.get("first")
    near = np.asarray(entry.scale_w) * (1 + 1e-6)
    text = Path(R).read_text()
    for old, new in zip(entry.scale_w, near):
        text = text.replace(f"scale_w: {np.float32(old):.9g}", f"scale_w: {np.float32(new):.9g}")
    assert text != Path(R).read_text()
    Path(R).write_text(text)
    save()


def converted(caplog: pytest.LogCaptureFixture, weights: str = W) -> str:
    caplog.clear()
    with caplog.at_level(logging.WARNING, "amct_core.ptq"):
        amct.convert_model(M, weights, R, "s/c")
    assert Path("s/c_deploy_model.prototxt").is_file()
    return caplog.text


def test_conversion_takes_any_record_and_warns_where_it_cannot_be_meant(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert "do not suit" not in converted(caplog)
    assert "the scales of 1 layers do not suit" in converted(caplog, weights_times(50))
    assert "do not suit" in converted(caplog, weights_times(0.02))
    # An algorithm that clips a quarter of the range is one that somebody may have chosen.
    assert "do not suit" not in converted(caplog, weights_times(1.33))
    assert "do not suit" not in converted(caplog, weights_times(0.0))


def test_every_fault_of_a_configuration_is_told_with_file_layer_and_field() -> None:
    data = json.loads(Path(C).read_text())
    data["first"]["activation_quant_params"] = {"act_algo": "percentile", "percentile": 5}
    data["second"]["activation_quant_params"] = {"max_percentile": 5}
    Path(C).write_text(json.dumps({**data, "batch_num": 0, "frist": {}}))
    with pytest.raises(ConfigError) as caught:
        amct.init(C, M, W, R)
    message = str(caught.value)
    assert "there are 4 errors" in message
    assert "c.json, layer 'first', field 'activation_quant_params.percentile': " in message
    assert "c.json, layer 'second', field 'activation_quant_params.max_percentile': " in message
    assert "Did you mean 'first'?" in message
