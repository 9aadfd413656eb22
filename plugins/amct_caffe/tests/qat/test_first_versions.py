"""What the first versions of this project wrote into modified models is read, or named."""

from __future__ import annotations

import json

import pytest

from amct_caffe.qat.parameters import WeightParameters, from_param_str
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
