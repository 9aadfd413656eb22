"""What a record says of the blobs that quantized layers read."""

from __future__ import annotations

import pytest

from amct_core.record.activations import activation_factors, input_shape
from amct_core.record.model import LayerRecord, Record


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((), (1, 1, 1)),
        ((8,), (1, 1, 1)),
        ((8, 3), (3, 1, 1)),
        ((8, 3, 5), (3, 5, 1)),
        ((8, 3, 5, 7), (3, 5, 7)),
        ((8, 3, 5, 7, 9), (3, 5, 7)),
    ],
)
def test_what_a_blob_lacks_counts_as_1(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert input_shape(shape) == expected


def test_each_layer_that_reads_the_blob_gets_its_factors_and_keeps_the_rest() -> None:
    old = LayerRecord(scale_d=9, scale_w=(2.0,), offset_w=(0,), shift_bit=(3,))
    record = activation_factors(
        Record({"a": old, "b": LayerRecord()}), ["a", "c"], 0.5, -7, (1, 3, 5, 7)
    )
    assert record.get("a") == LayerRecord(0.5, -7, (2.0,), (0,), (3,), 3, 5, 7)
    assert record.get("b") == LayerRecord()
    assert record.get("c") == LayerRecord(0.5, -7, channels=3, height=5, width=7)
