"""``amct qat diff``: two configs or two records, what differs, and the exit status of diff(1)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from amct_core import record as records
from amct_core.config import json_format, ptq_json
from amct_core.config.model import ActivationConfig, LayerConfig, QatConfig
from amct_core.config.ptq import PtqActivation, PtqConfig, PtqLayer
from amct_core.record import LayerRecord, Record

Amct = Callable[..., Any]
NAMES = ("conv1", "scope/conv2:0", "fc.3")
QAT = QatConfig(layers={name: LayerConfig() for name in NAMES})
PTQ = PtqConfig(layers={name: PtqLayer() for name in NAMES})
ENTRY = LayerRecord(0.5, -3, (0.25,) * 8, (0,) * 8, (2,) * 8)
RECORD = Record(dict.fromkeys(NAMES, ENTRY))


@pytest.fixture
def diff(
    amct: Amct, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, list[str]]]:
    """Return a function that compares two things as files ``a`` and ``b``."""
    monkeypatch.chdir(tmp_path)

    def run(first: Any, second: Any, *options: str, command: str = "qat") -> tuple[int, list[str]]:
        for path, content in (("a", first), ("b", second)):
            Path(path).write_text(text(content))
        done = amct(command, "diff", "a", "b", *options)
        return done.status, (done.out or done.err).splitlines()

    return run


def text(content: Any) -> str:
    if isinstance(content, QatConfig):
        return json_format.format_config(content)
    if isinstance(content, PtqConfig):
        return ptq_json.format_config(content)
    return records.format(content) if isinstance(content, Record) else str(content)


def with_layer(config: Any, name: str, layer: Any) -> Any:
    return attrs.evolve(config, layers={**config.layers, name: layer})


@pytest.mark.parametrize("content", [QAT, PTQ, RECORD])
@pytest.mark.parametrize("command", ["qat", "ptq"])
def test_equal_files_end_with_0(diff: Callable[..., Any], content: Any, command: str) -> None:
    assert diff(content, content, command=command) == (0, ["no difference in 3 layers"])


def test_a_default_is_equal_to_what_is_not_said(diff: Callable[..., Any]) -> None:
    said = '{"batch_norm": "keep", "c": {"retrain_enable": true, "retrain_data_config": {}}}'
    assert diff(said, '{"version": 1, "c": {"retrain_enable": true}, "batch_norm": "keep"}')[0] == 0


def test_the_order_of_layers_does_not_count(diff: Callable[..., Any]) -> None:
    other = QatConfig(layers={name: LayerConfig() for name in NAMES[::-1]})
    assert diff(QAT, other)[0] == 0


def test_layers_with_the_same_differences_stand_together(diff: Callable[..., Any]) -> None:
    changed = LayerConfig(False, ActivationConfig(clip_max=6.0, clip_min=-3.0))
    other = attrs.evolve(QAT, batch_num=4, layers=dict.fromkeys(NAMES, changed))
    other = with_layer(other, "fc.3", LayerConfig(activation=ActivationConfig(clip_lr_mult=1.25)))
    assert diff(QAT, other) == (
        1,
        [
            "whole config:",
            "    batch_num: 1 -> 4 (+300 %)",
            "2 layers:",
            "  conv1, scope/conv2:0",
            "    retrain_enable: true -> false",
            "    retrain_data_config.clip_max: not set -> 6",
            "    retrain_data_config.clip_min: not set -> -3",
            "fc.3:",
            "    retrain_data_config.clip_lr_mult: 1 -> 1.25 (+25 %)",
            "3 of the 3 layers in both differ",
        ],
    )


def test_ptq_configs_are_told_by_their_keys(diff: Callable[..., Any]) -> None:
    other = with_layer(PTQ, "conv1", PtqLayer(activation=PtqActivation(search_step=0.02)))
    status, lines = diff(PTQ, other)
    assert (status, lines[:2]) == (
        1,
        ["conv1:", "    activation_quant_params.search_step: 0.01 -> 0.02 (+100 %)"],
    )


def test_layers_of_one_side_are_named(diff: Callable[..., Any]) -> None:
    status, lines = diff(QAT.with_layers({"conv1": LayerConfig()}), QAT)
    assert (status, lines[:2]) == (1, ["only in b (2 layers):", "  scope/conv2:0, fc.3"])


def test_records_differ_in_scales_offsets_and_n_the_largest_first(diff: Callable[..., Any]) -> None:
    scales = (0.25,) * 5 + (0.375, 0.2578125, 0.25)
    other = RECORD.with_layers(
        {
            "conv1": attrs.evolve(ENTRY, scale_d=0.515625),
            "fc.3": attrs.evolve(ENTRY, scale_w=scales, offset_d=-4, shift_bit=(2,) * 7 + (3,)),
        }
    )
    assert diff(RECORD, other) == (
        1,
        [
            "fc.3:",
            "    offset_d: -3 -> -4 (-33.3 %)",
            "    scale_w: 2 of 8 differ, most at 5: 0.25 -> 0.375 (+50 %)",
            "    shift_bit: 1 of 8 differ, most at 7: 2 -> 3 (+50 %)",
            "conv1:",
            "    scale_d: 0.5 -> 0.515625 (+3.12 %)",
            "2 of the 3 layers in both differ",
        ],
    )


def test_other_numbers_of_scales_and_missing_ones_are_told(diff: Callable[..., Any]) -> None:
    one = attrs.evolve(ENTRY, scale_w=(0.25,), offset_w=(0,), shift_bit=())
    _, lines = diff(RECORD, RECORD.with_layer("conv1", one))
    assert lines[1:4] == [
        "    scale_w: 8 values -> [0.25]",
        "    offset_w: 8 values -> [0]",
        "    shift_bit: 8 values -> not set",
    ]


def test_numbers_that_look_alike_are_written_out(diff: Callable[..., Any]) -> None:
    near = attrs.evolve(ENTRY, scale_d=0.5000000596046448)
    _, lines = diff(RECORD, RECORD.with_layer("conv1", near))
    assert lines[1] == "    scale_d: 0.5 -> 0.5000000596046448 (+1.19e-05 %)"


def test_json_holds_every_value(diff: Callable[..., Any]) -> None:
    other = RECORD.with_layer("conv1", attrs.evolve(ENTRY, scale_w=(0.5,) * 8))
    status, lines = diff(RECORD, other, "--json")
    assert status == 1
    assert json.loads("\n".join(lines)) == {
        "kind": "record",
        "equal": False,
        "layers_in_both": 3,
        "only_in_first": [],
        "only_in_second": [],
        "whole": [],
        "layers": {
            "conv1": [{"key": "scale_w", "first": [0.25] * 8, "second": [0.5] * 8, "relative": 1.0}]
        },
    }


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (QAT, PTQ, "Error: a is a QAT config, b a PTQ config; expected two of one kind."),
        (QAT, RECORD, "Error: a is a QAT config, b a record; expected two of one kind."),
        (QAT, "{", "Error: b: line 1, column 2: not valid JSON"),
        (QAT, '{"version": 1, "advice": []}', "Error: b: it is JSON, but neither a QAT config"),
        (RECORD, "what is this", "Error: b"),
    ],
)
def test_what_cannot_be_compared_ends_with_2(
    diff: Callable[..., Any], first: Any, second: Any, message: str
) -> None:
    status, (line, *_) = diff(first, second)
    assert (status, line.startswith(message)) == (2, True), line


def test_a_file_that_is_missing_ends_with_2(amct: Amct, tmp_path: Path) -> None:
    done = amct("qat", "diff", str(tmp_path / "no"), str(tmp_path / "none"))
    assert (done.status, str(tmp_path / "no") in done.err) == (2, True)
