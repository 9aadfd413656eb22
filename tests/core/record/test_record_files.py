"""Record files: every factor comes back, layers keep their order, faults are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core import record as records
from amct_core.errors import RecordError
from amct_core.record import LayerRecord, Record

SCALES = st.floats(2.0**-20, 2.0**20, width=32)


@st.composite
def entries(draw: st.DrawFn) -> LayerRecord:
    count = draw(st.integers(0, 4))
    searched = draw(st.booleans())
    return LayerRecord(
        scale_d=draw(st.none() | SCALES),
        offset_d=draw(st.none() | st.integers(-128, 127)),
        scale_w=draw(st.lists(SCALES, min_size=count, max_size=count)),
        offset_w=(0,) * count,
        shift_bit=draw(st.lists(st.integers(1, 16), min_size=count, max_size=count))
        if searched
        else (),
        channels=draw(st.none() | st.integers(1, 4096)),
        height=draw(st.none() | st.integers(1, 4096)),
        width=draw(st.none() | st.integers(1, 4096)),
    )


@given(layers=st.dictionaries(st.text(min_size=1, max_size=12), entries(), max_size=4))
def test_what_is_written_is_read_again_in_order(
    tmp_path_factory: pytest.TempPathFactory, layers: dict[str, LayerRecord]
) -> None:
    path = tmp_path_factory.getbasetemp() / "record.txt"
    path.write_text(records.format(Record(layers)))
    again = records.read(str(path))
    assert dict(again.layers) == layers
    assert list(again) == list(layers)


def entry(key: str, value: str) -> str:
    return f'record {{\n  key: "{key}"\n  value {{\n    {value}\n  }}\n}}\n'


GOOD = entry("a", "scale_d: 1 offset_d: 0")


@pytest.mark.parametrize(
    ("text", "layer", "field"),
    [
        (GOOD + GOOD, "a", "record"),
        (entry("a", "scale_d: 0"), "a", "scale_d"),
        (entry("a", "scale_d: nan"), "a", "scale_d"),
        (entry("a", "offset_d: 128"), "a", "offset_d"),
        (entry("a", "scale_w: 1 offset_w: 3"), "a", "offset_w"),
        (entry("a", "scale_w: 1 scale_w: 1 offset_w: 0"), "a", "offset_w"),
        (entry("a", "scale_w: 1 offset_w: 0 shift_bit: 17"), "a", "shift_bit"),
        (
            entry("a", "scale_w: 1 scale_w: 1 offset_w: 0 offset_w: 0 shift_bit: 0 shift_bit: 3"),
            "a",
            "shift_bit",
        ),
        (GOOD + entry("b", "scale: 1"), None, "scale"),
        ("layer { }", None, "layer"),
    ],
)
def test_faults_name_file_layer_and_field(
    tmp_path: Path, text: str, layer: str | None, field: str
) -> None:
    path = tmp_path / "record.txt"
    path.write_text(text)
    with pytest.raises(RecordError) as caught:
        records.read(str(path))
    assert caught.value.file == str(path)
    assert (caught.value.layer, caught.value.field) == (layer, field)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no such record file"):
        records.read(str(tmp_path / "record.txt"))
