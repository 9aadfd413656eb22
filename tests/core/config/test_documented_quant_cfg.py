"""``docs/quant-cfg.md`` names the fields that are read, with their types and defaults."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import attrs
import pytest

from amct_core.config import ptq_simplified, simplified
from amct_core.config.model import ActivationConfig, QatConfig, WeightConfig
from amct_core.config.ptq import PtqActivation, PtqConfig, PtqWeight
from amct_core.errors import AmctError

PAGE = (Path(__file__).resolve().parents[3] / "docs/quant-cfg.md").read_text()
HEADER = "| field of the file | type | default | |\n"
SECTIONS = dict(zip(("qat", "ptq"), PAGE.split("\n## ")[1:]))
READ = {"qat": simplified.from_text, "ptq": ptq_simplified.from_text}
FIELDS = {"qat": simplified.FIELDS, "ptq": ptq_simplified.FIELDS}

GOOD = {"int": "1024", "bool": "true", "string": '"name"', "enum": "INT8", "message": "{ }"}
WRONG = {"int": "1.5", "bool": "3", "string": "3", "enum": "INT4", "message": "3", "float": '"x"'}
FLOATS = {"clip_min": "-2.0", "search_range_end": "1.2"}
"""Where 0.9 is out of range."""

DEFAULTS: dict[str, tuple[Any, ...]] = {
    "qat": (QatConfig(), ActivationConfig(), WeightConfig()),
    "ptq": (PtqConfig(), PtqActivation(), PtqWeight()),
}


@attrs.frozen
class Row:
    """A field of the page; its path, type and default."""

    form: str
    path: str
    kind: str
    default: str

    def __str__(self) -> str:
        return f"{self.form} {self.path}"

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


def rows() -> list[Row]:
    found = []
    for form, section in SECTIONS.items():
        table = section.split(HEADER)[1].split("\n\n")[0]
        for line in table.splitlines()[1:]:
            fields, kind, default, _ = (cell.strip() for cell in line.strip("|").split("|"))
            for path in re.findall(r"`([^`]+)`", fields):
                found.append(Row(form, path, kind, default.strip("`")))
    return found


ROWS = rows()


@pytest.mark.parametrize("form", FIELDS)
def test_the_page_names_the_fields_that_are_known(form: str) -> None:
    known = {
        f"{message}.{field}" if message else field
        for message, fields in FIELDS[form].items()
        for field in fields
    }
    assert {row.path for row in ROWS if row.form == form} == known


def file_with(row: Row, value: str) -> str:
    """Return a file in which ``row`` has ``value``, with what it needs beside it."""
    *messages, name = row.path.split(".")
    beside = {
        "clip_max": "clip_min: -1.0",
        "clip_min": "clip_max: 1.0",
        "retrain_data_quant_config": 'layer_name: "x"',
        "retrain_weight_quant_config": 'layer_name: "x"',
    }.get(name, "")
    if messages[:1] in (["override_layer_types"], ["override_layer_configs"]):
        key = {"override_layer_types": "layer_type", "override_layer_configs": "layer_name"}
        beside = "" if name == key[messages[0]] else f'{key[messages[0]]}: "x"'
        if row.form == "ptq" and name != "calibration_config":
            beside += " calibration_config { }"
    elif not messages:
        beside = ""
    field = f"{name} {value}" if value.startswith("{") else f"{name}: {value}"
    if name in ("override_layer_types", "override_layer_configs") and value.startswith("{"):
        key_name = "layer_type" if name == "override_layer_types" else "layer_name"
        calibration = " calibration_config { }" if row.form == "ptq" else ""
        field = f'{name} {{ {key_name}: "x"{calibration} }}'
    if name == "clip_max_min" and value.startswith("{"):
        field = "clip_max_min { clip_max: 1.0 clip_min: -1.0 }"
    text = f"{field} {beside}"
    for message in reversed(messages):
        text = f"{message} {{ {text} }}"
    required = ("retrain_data_quant_config", "retrain_weight_quant_config")
    for message in required if row.form == "qat" else ():
        if row.path.split(".")[0] != message:
            text += f" {message} {{ }}"
    return text


def good_value(row: Row) -> str:
    kind = row.kind.split(",")[0]
    if row.name == "batch_norm":
        return '"fold"'
    return FLOATS.get(row.name, "0.9") if kind == "float" else GOOD[kind]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_value_of_the_type_is_read_and_one_of_another_type_refused(row: Row) -> None:
    text = file_with(row, good_value(row))
    if row.name in simplified.UNSUPPORTED and row.form == "qat":
        with pytest.raises(AmctError, match="cannot be skipped"):
            READ[row.form](text, "quant.cfg")
        return
    if row.name == "search_step":
        text = text.replace("0.9", "0.02")
    READ[row.form](text, "quant.cfg")
    with pytest.raises(AmctError):
        READ[row.form](file_with(row, WRONG[row.kind.split(",")[0]]), "quant.cfg")


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_only_what_is_repeated_may_be_there_twice(row: Row) -> None:
    value = good_value(row) if row.name != "search_step" else "0.02"
    text = file_with(row, value)
    twice = text.replace(f"{row.name}: {value}", f"{row.name}: {value} {row.name}: {value}")
    if "message" in row.kind or row.name in simplified.UNSUPPORTED:
        return
    if "repeated" in row.kind:
        READ[row.form](twice.replace(value, '"other"', 1), "quant.cfg")
    else:
        with pytest.raises(AmctError, match="twice"):
            READ[row.form](twice, "quant.cfg")


@pytest.mark.parametrize("row", [row for row in ROWS if "required" in row.kind], ids=str)
def test_what_is_required_must_be_there(row: Row) -> None:
    text = file_with(row, good_value(row))
    without = re.sub(rf"{row.name}(: \S+| \{{ \}})", "", text)
    assert without != text
    with pytest.raises(AmctError):
        READ[row.form](without, "quant.cfg")


@pytest.mark.parametrize("row", [row for row in ROWS if row.default], ids=str)
def test_the_default_is_that_of_the_data_classes(row: Row) -> None:
    ranges = {"search_range_start": 0, "search_range_end": 1}
    if row.name == "dst_type":
        assert row.default == "INT8"
        return
    if row.name in ranges:
        assert float(row.default) == PtqActivation().search_range[ranges[row.name]]
        return
    section = row.path.split(".")[0]
    places = DEFAULTS[row.form]
    (whole, activation, weight) = places
    place = whole if "." not in row.path else weight if "weight" in section else activation
    if row.name == "wts_algo":
        place = weight
    value = getattr(place, row.name)
    assert row.default == (value if isinstance(value, str) else json.dumps(value))


@pytest.mark.parametrize("form", READ)
def test_the_example_is_read(form: str) -> None:
    example = SECTIONS[form].split("```")[1]
    assert READ[form](example, "quant.cfg").skip_layers == ("fc8",)
