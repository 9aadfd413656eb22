"""What the first versions of this project wrote into modified models is read, or named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from amct_caffe.qat.parameters import WeightParameters, from_param_str
from amct_core import record as records
from amct_core.config import json_format
from amct_core.errors import FileFormatError

FIRST = {
    "algo": "arq_retrain",
    "batch_num": 1,
    "channel_axis": 0,
    "folded": [],
    "layer": "conv1",
    "record_file": "record.txt",
    "shape": [16, 1, 3, 3],
}


def read(**changes: object) -> WeightParameters:
    return from_param_str(WeightParameters, json.dumps({**FIRST, **changes}), "conv1_weight_qat")


@pytest.mark.parametrize("axis", [0, 1])
def test_channel_axis_is_the_output_axis_of_channel_wise_weights(axis: int) -> None:
    found = read(channel_axis=axis)
    assert (found.output_axis, found.channel_wise) == (axis, True)
    assert (found.layer, found.shape, found.folded) == ("conv1", (16, 1, 3, 3), ())


def test_an_inner_product_without_channel_axis_has_one_scale() -> None:
    found = read(channel_axis=None, shape=[64, 128])
    assert (found.output_axis, found.channel_wise, found.scale_count) == (0, False, 1)


def test_layers_that_would_be_folded_are_named_for_what_they_are() -> None:
    expected = "layer 'conv1_weight_qat'.*a first version of this project.*bn, scale"
    with pytest.raises(FileFormatError, match=expected) as caught:
        read(folded=["bn", "scale"])
    assert "Save the snapshot with the version that inserted the layers" in str(caught.value)


def test_an_axis_that_nobody_tells_is_not_guessed() -> None:
    with pytest.raises(FileFormatError, match="which axis of its weights counts output channels"):
        read(channel_axis=None)


def test_what_no_version_wrote_is_still_refused() -> None:
    with pytest.raises(FileFormatError, match="cannot be read as WeightParameters"):
        from_param_str(WeightParameters, '{"channel_axes": 0}', "conv1_weight_qat")
    with pytest.raises(FileFormatError, match="cannot be read as WeightParameters"):
        from_param_str(WeightParameters, "[1]", "conv1_weight_qat")


CONFIG = """{
    "version": 1,
    "batch_num": 1,
    "conv1": {
        "retrain_enable": true,
        "retrain_data_config": {
            "algo": "ulq_quantize"
        },
        "retrain_weight_config": {
            "algo": "arq_retrain",
            "channel_wise": true
        }
    },
    "pool2": {
        "retrain_enable": true,
        "retrain_data_config": {
            "algo": "ulq_quantize"
        }
    }
}
"""

RECORD = """record {
  key: "conv1"
  value {
    scale_d: 0.00447069528
    offset_d: -128
    scale_w: 0.00781318452
    scale_w: 0.00490864972
    offset_w: 0
    offset_w: 0
    shift_bit: 1
    shift_bit: 2
    channels: 1
    height: 8
    width: 8
  }
}
"""


def test_a_configuration_of_theirs_is_read() -> None:
    config = json_format.parse(CONFIG)
    assert list(config.layers) == ["conv1", "pool2"]
    assert config.layers["conv1"].weight.channel_wise is True
    assert config.layers["pool2"].weight is None


def test_a_record_of_theirs_is_read_and_written_byte_for_byte(tmp_path: Path) -> None:
    file = tmp_path / "record.txt"
    file.write_text(RECORD)
    record = records.read(str(file))
    assert record.get("conv1").shift_bit == (1, 2)
    assert records.format(record) == RECORD
