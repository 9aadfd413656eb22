"""A record describes the layers that it should, and no others."""

from __future__ import annotations

import pytest

from amct_core.errors import RecordError
from amct_core.record.checks import check_layers
from amct_core.record.model import LayerRecord, Record

FULL = LayerRecord(scale_d=0.5)
RECORD = Record({"conv": FULL, "fc": FULL, "data_input_shape": LayerRecord(channels=3)})


def test_factors_for_each_layer_and_shapes_for_others_are_what_is_expected() -> None:
    check_layers(RECORD, ["conv", "fc"], "record.txt", others=["data_input_shape", "other"])


@pytest.mark.parametrize(
    ("layers", "layer", "words"),
    [
        (["conv", "pool", "fc"], "pool", "Cannot find scale_d of layer 'pool'.*it has no entry"),
        (["data_input_shape"], "data_input_shape", "its entry has no factors yet"),
    ],
)
def test_a_layer_without_factors_is_named(layers: list[str], layer: str, words: str) -> None:
    with pytest.raises(RecordError, match=words) as caught:
        check_layers(RECORD, layers, "record.txt")
    error = caught.value
    assert (error.file, error.layer, error.field) == ("record.txt", layer, "scale_d")


@pytest.mark.parametrize(
    ("layers", "others", "extra"),
    [
        (["conv"], ["data_input_shape"], "fc"),
        (["conv", "fc"], [], "data_input_shape"),
        (["fc"], ["data_input_shape"], "conv"),
    ],
)
def test_an_entry_for_another_layer_is_named(
    layers: list[str], others: list[str], extra: str
) -> None:
    with pytest.raises(RecordError, match="is not a quantized layer of the model") as caught:
        check_layers(RECORD, layers, "record.txt", others)
    error = caught.value
    assert (error.layer, error.field) == (extra, "record")
    assert f"expected {', '.join(layers)}." in error.problem


def test_a_layer_is_looked_up_by_name() -> None:
    assert RECORD.get("fc") is FULL
    assert RECORD.find("pool") is None
    with pytest.raises(RecordError, match=r"'pool'.*has no entry"):
        RECORD.get("pool")
