"""What a record may hold: AMCT's ranges, and the shapes of network inputs."""

from __future__ import annotations

from typing import Any, Optional

import attrs
import numpy as np
import pytest

from amct_core.record.model import LayerRecord, Record

GOOD = LayerRecord(
    scale_d=0.5, offset_d=0, scale_w=(1.0, 2.0), offset_w=(0, 0), shift_bit=(1, 16), channels=3
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"offset_d": -128},
        {"offset_d": 127},
        {"shift_bit": ()},
        {"shift_bit": (0, 0)},
        {"scale_d": None, "offset_d": None},
        {"scale_d": 1e-30},
        {"scale_w": (), "offset_w": (), "shift_bit": ()},
    ],
)
def test_values_in_range_are_no_problem(changes: dict[str, Any]) -> None:
    assert attrs.evolve(GOOD, **changes).problem() is None


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"scale_d": 0}, "scale_d", "it is 0.0; expected a finite number above 0."),
        ({"scale_d": -1}, "scale_d", "it is -1.0"),
        ({"scale_d": np.inf}, "scale_d", "it is inf"),
        ({"scale_d": np.nan}, "scale_d", "it is nan"),
        ({"scale_w": (1, 0)}, "scale_w", "it is 0.0"),
        ({"offset_d": -129}, "offset_d", "it is -129; expected -128..127."),
        ({"offset_d": 128}, "offset_d", "it is 128; expected -128..127."),
        ({"offset_w": (0, -7)}, "offset_w", "it holds -7; expected 0."),
        ({"offset_w": (0,)}, "offset_w", "there are 1 values; expected 2"),
        ({"offset_w": (0, 0, 0)}, "offset_w", "there are 3 values; expected 2"),
        ({"shift_bit": (1,)}, "shift_bit", "there are 1 values; expected 2"),
        ({"shift_bit": (1, 2, 3)}, "shift_bit", "there are 3 values; expected 2"),
        ({"shift_bit": (0, 3)}, "shift_bit", "expected all 0 or each in 1..16."),
        ({"shift_bit": (1, 17)}, "shift_bit", "expected all 0 or each in 1..16."),
        ({"shift_bit": (-1, 1)}, "shift_bit", "expected all 0 or each in 1..16."),
    ],
)
def test_the_first_value_out_of_range_is_told(
    changes: dict[str, Any], field: str, words: str
) -> None:
    found = attrs.evolve(GOOD, **changes).problem()
    assert found is not None
    assert found[0] == field
    assert words in found[1]


def test_many_shifts_are_told_in_part() -> None:
    entry = LayerRecord(scale_w=(1,) * 9, offset_w=(0,) * 9, shift_bit=(17, *range(1, 9)))
    problem = entry.problem()
    assert problem is not None
    assert "[17, 1, 2, 3, 4, 5, 6, 7]..." in problem[1]


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        (None, (None, None, None)),
        ((), (0, None, None)),
        ((3,), (3, None, None)),
        ((3, 5), (3, 5, None)),
        ((3, 5, 7), (3, 5, 7)),
    ],
)
def test_the_shape_of_a_sample_is_kept_in_three_fields(
    shape: Optional[tuple[int, ...]], sizes: tuple[Optional[int], ...]
) -> None:
    entry = LayerRecord(scale_d=0.5).with_sample_shape(shape)
    assert (entry.channels, entry.height, entry.width) == sizes
    assert entry.sample_shape == shape
    assert entry.scale_d == 0.5


def test_scales_are_those_of_float32() -> None:
    entry = LayerRecord(scale_d=0.1, scale_w=(0.1,))
    assert entry.scale_d == float(np.float32(0.1)) != 0.1
    assert entry.scale_w == (float(np.float32(0.1)),)


def test_an_entry_takes_the_place_of_the_old_one_and_a_new_one_comes_last() -> None:
    record = Record({"a": LayerRecord(), "b": LayerRecord()})
    changed = record.with_layer("a", GOOD).with_layer("c", GOOD)
    assert list(changed) == ["a", "b", "c"]
    assert (changed.get("a"), changed.find("c"), len(changed)) == (GOOD, GOOD, 3)
    assert record.get("a") == LayerRecord()
