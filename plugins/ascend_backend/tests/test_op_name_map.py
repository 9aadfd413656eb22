"""The file of ``--op_name_map``, read as ATC reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from amct_core.errors import AmctError, ConfigError
from ascend_backend.lint import find, lint
from ascend_backend.op_name_map import OpNameMap
from plugins.ascend_backend.tests.lint.broken_models import Model, detection

LINE = "DetectionOutput:SSDDetectionOutput"


def read(folder: Path, text: str) -> OpNameMap:
    file = folder / "opname_map.cfg"
    file.write_bytes(text.encode("utf-8"))
    return OpNameMap.read(str(file))


def mapped(model: Model, folder: Path, text: str) -> list[str]:
    """Return the rules that ``model`` breaks when ATC is given a map."""
    op_names = read(folder, text)
    return [each.rule.id for each in lint(*model.write(folder), op_names=op_names)]


def with_detection(*changes: tuple[str, str]) -> Model:
    model = Model.whole()
    detection(model, "SSDDetectionOutput", ('"SSDDetectionOutput"', '"DetectionOutput"'), *changes)
    return model


@pytest.mark.parametrize(
    "text",
    [
        LINE,
        f"{LINE}\n",
        f"# detection\n\n  {LINE}  \r\n",
        "DetectionOutput : SSDDetectionOutput",
        "\tDetectionOutput:\tSSDDetectionOutput",
        f"DetectionOutput:FSRDetectionOutput\n{LINE}",
    ],
)
def test_blanks_comments_and_earlier_lines_do_not_count(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).types == {"DetectionOutput": "SSDDetectionOutput"}


def test_the_first_colon_divides(tmp_path: Path) -> None:
    assert read(tmp_path, "a:b:c").types == {"a": "b:c"}


@pytest.mark.parametrize("line", ["DetectionOutput", ":SSDDetectionOutput", "DetectionOutput: "])
def test_a_line_without_both_types_is_an_error_with_its_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigError, match=rf"opname_map\.cfg.*line 2: found '{line.strip()}'"):
        read(tmp_path, f"# types\n{line}\n")


@pytest.mark.parametrize("text", [f"{LINE}\n  \n", f"\t\n{LINE}", f"{LINE}\r\n\r\n"])
def test_a_line_of_blanks_is_an_error_because_atc_stops_at_it(tmp_path: Path, text: str) -> None:
    # TrimStr of properties_manager.cc gives such a line back as it is.
    with pytest.raises(ConfigError, match=r"opname_map\.cfg.*line [12]: found only blanks"):
        read(tmp_path, text)


def test_an_empty_line_at_the_end_of_a_file_with_crlf_is_none(tmp_path: Path) -> None:
    assert read(tmp_path, f"{LINE}\r\n").types == {"DetectionOutput": "SSDDetectionOutput"}


def test_a_byte_order_mark_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"opname_map\.cfg.*byte order mark"):
        read(tmp_path, f"\ufeff{LINE}\n")


@pytest.mark.parametrize("text", ["", "\n", "# DetectionOutput:SSDDetectionOutput\n"])
def test_a_file_without_a_line_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"opname_map\.cfg.*names no type"):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AmctError, match=r"nowhere\.cfg.*cannot be read"):
        OpNameMap.read(str(tmp_path / "nowhere.cfg"))


def test_a_mapped_type_is_what_the_lint_sees(tmp_path: Path) -> None:
    model = with_detection()
    assert [each.rule.id for each in find(model.read(tmp_path))] == ["A015"]
    assert mapped(model, tmp_path, LINE) == []


def test_the_map_changes_the_type_and_nothing_else(tmp_path: Path) -> None:
    model = with_detection(("ssddetectionoutput_param", "detection_output_param"))
    assert mapped(model, tmp_path, LINE) == ["A102"]


def test_a_type_that_no_layer_then_has_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no layer of this network for SsdDetectionOutput"):
        mapped(with_detection(), tmp_path, "DetectionOutputs:SsdDetectionOutput")


def test_a_map_to_a_type_that_is_there_anyway_is_none(tmp_path: Path) -> None:
    model = Model.whole()
    detection(model, "SSDDetectionOutput")
    assert mapped(model, tmp_path, LINE) == []
