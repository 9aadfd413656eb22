"""Updating a record: the other layers stay as they are, and large records do not slow training."""

from __future__ import annotations

import re

import attrs
import pytest

from amct_core import record as records
from amct_core.errors import AmctError
from amct_core.record import LayerRecord, Record
from amct_core.record import files as record_files


def record_of(layers: int, channels: int = 3) -> Record:
    entry = LayerRecord(
        scale_d=0.5,
        offset_d=-3,
        scale_w=[0.1 * (channel + 1) for channel in range(channels)],
        offset_w=[0] * channels,
        channels=3,
        height=8,
        width=8,
    )
    return Record({f"conv{i}": attrs.evolve(entry, scale_d=i + 1) for i in range(layers)})


def test_an_update_changes_one_layer_and_keeps_the_others_and_their_order(tmp_path):
    path, before = str(tmp_path / "record.txt"), record_of(layers=5)
    records.write(path, before)
    changed = attrs.evolve(before.get("conv2"), scale_d=7.0)
    records.update(path, lambda record: record.with_layer("conv2", changed))
    after = records.read(path)
    assert list(after) == list(before)
    assert after.layers == {**before.layers, "conv2": changed}


def test_an_update_sees_what_somebody_else_wrote_meanwhile(tmp_path):
    path = str(tmp_path / "record.txt")
    records.write(path, record_of(layers=3))
    records.update(path, lambda record: record)
    text = (tmp_path / "record.txt").read_text().replace("offset_d: -3", "offset_d: -4")
    (tmp_path / "record.txt").write_text(text)
    records.update(path, lambda record: record)
    assert {entry.offset_d for entry in records.read(path).layers.values()} == {-4}


def test_an_update_parses_and_formats_only_the_entries_that_changed(tmp_path, monkeypatch):
    path = str(tmp_path / "record.txt")
    records.write(path, record_of(layers=40))
    records.read(path)
    parsed, formatted = [], []
    parse, format_message = record_files.parse, record_files.format_message
    monkeypatch.setattr(record_files, "parse", lambda t, f: parsed.append(t) or parse(t, f))
    monkeypatch.setattr(
        record_files, "format_message", lambda m: formatted.append(m) or format_message(m)
    )
    for n in range(1, 6):
        entry = attrs.evolve(records.read(path).get("conv7"), scale_d=100.0 + n)
        records.update(path, lambda record, entry=entry: record.with_layer("conv7", entry))
    assert len(formatted) == 5
    assert len(parsed) == 4  # what the last update wrote has not been read


@pytest.mark.parametrize(
    "text",
    [
        'record { key: "a" value { scale_d: 1\n}\n} record { key: "b" value { scale_d: 2 } }',
        'record {\nkey: "a"\nvalue {\nscale_d: 1\n}\n}\nrecord {\nkey: "b"\nvalue {scale_d: 2}}\n',
        'record <\nkey: "a" value: <scale_d: 1>\n>\n;record { # }\nkey: "b" value {scale_d: 2}}\n',
    ],
)
def test_a_record_may_be_laid_out_in_any_way_that_protobuf_reads(tmp_path, text):
    (tmp_path / "record.txt").write_text(text)
    read = records.read(str(tmp_path / "record.txt"))
    assert [(name, entry.scale_d) for name, entry in read.layers.items()] == [("a", 1), ("b", 2)]


@pytest.mark.parametrize(
    ("find", "replace", "message"),
    [
        ("offset_d: -3", "offset_e: -3", "line 5: found 'offset_e'"),
        ("offset_d: -3", "offset_d: x", "line 5: found x; expected an integer"),
        ("offset_d: -3", "offset_d: -300", "-128..127"),
        ('"conv0"', '"conv1"', "line 17: a second entry"),
        ('"conv2"', "conv2", "line 34: found conv2"),
        ('key: "conv0"', "", "line 1: an entry without a layer name"),
        ('"conv0"', '""', "line 1: an entry without a layer name"),
    ],
)
def test_an_error_names_its_line_in_the_whole_file(tmp_path, find, replace, message):
    path = tmp_path / "record.txt"
    records.write(str(path), record_of(layers=3))
    path.write_text(path.read_text().replace(find, replace, 1))
    with pytest.raises(AmctError, match=re.escape(message)):
        records.read(str(path))
