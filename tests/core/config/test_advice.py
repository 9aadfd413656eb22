"""Files of advice: what is read, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from amct_core.config import advice
from amct_core.config.advice import AdviceEntry, Cure
from amct_core.errors import ConfigError, ConfigTypeError

SKIPPED = {
    "layer": "ip2",
    "cause": "weight outlier",
    "reason": "One weight is large.",
    "qat": {"skip": True},
    "ptq": {"skip": True},
}
CLIPPED = {
    "layer": "a/b.c:0",
    "cause": "clipping",
    "reason": "Values are clipped.",
    "qat": {"set": {"retrain_data_config.clip_max": 6.1, "retrain_data_config.fixed_min": None}},
}


def parsed(*entries: Any, **top: Any) -> advice.Advice:
    return advice.parse(json.dumps({"version": 1, "advice": list(entries), **top}), "advice.json")


def test_what_is_advised_is_read_entry_by_entry(tmp_path: Path) -> None:
    path = tmp_path / "advice.json"
    path.write_text(json.dumps({"version": 1, "advice": [SKIPPED, CLIPPED]}))
    found = advice.read(str(path))
    values = {"retrain_data_config.clip_max": 6.1, "retrain_data_config.fixed_min": None}
    assert found.file == str(path)
    assert found.entries == (
        AdviceEntry("ip2", "weight outlier", "One weight is large.", Cure(True), Cure(True)),
        AdviceEntry("a/b.c:0", "clipping", "Values are clipped.", Cure(values=values)),
    )


def test_what_a_form_cannot_say_is_told() -> None:
    found = parsed(SKIPPED, CLIPPED)
    assert [entry.layer for entry, _ in found.cures("ptq")] == ["ip2"]
    (other,) = found.not_applied("ptq")
    assert str(other) == (
        "a/b.c:0: clipping: Values are clipped. (this configuration cannot say what would help)"
    )
    assert found.not_applied("qat") == ()


def test_the_documented_example_is_read() -> None:
    page = Path(__file__).resolve().parents[3] / "docs/config-changes.md"
    text = page.read_text().split("```json\n")[1].split("```")[0]
    assert [entry.layer for entry in advice.parse(text, "advice.json").entries] == ["ip2", "conv3"]


def test_a_network_without_trouble_needs_no_advice() -> None:
    assert parsed().entries == ()


def without(key: str) -> dict[str, Any]:
    return {each: value for each, value in SKIPPED.items() if each != key}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (3, r"^advice\.json, field 'advice\[0\]': it is 3; expected an object"),
        (without("layer"), r"field 'advice\[0\]\.layer': it is missing; expected a text"),
        (without("reason"), r"field 'advice\[0\]\.reason': it is missing"),
        ({**SKIPPED, "cause": ""}, r"field 'advice\[0\]\.cause': it is empty"),
        ({**SKIPPED, "cause": 3}, r"field 'advice\[0\]\.cause': it is 3 \(int\); expected a str"),
        ({**SKIPPED, "lyer": 1}, r"'advice\[0\]\.lyer': unknown key.*Did you mean 'layer'"),
        ({**SKIPPED, "qat": True}, r"layer 'ip2', field 'advice\[0\]\.qat': it is True"),
        ({**SKIPPED, "qat": {}}, r"field 'advice\[0\]\.qat': it changes nothing"),
        ({**SKIPPED, "qat": {"skip": False}}, r"field 'advice\[0\]\.qat': it changes nothing"),
        ({**SKIPPED, "qat": {"skip": 1}}, r"'advice\[0\]\.qat\.skip': it is 1 \(int\)"),
        ({**SKIPPED, "qat": {"sets": {}}}, r"'advice\[0\]\.qat\.sets': unknown key"),
        ({**SKIPPED, "ptq": {"set": []}}, r"field 'advice\[0\]\.ptq\.set': it is \[\]"),
    ],
)
def test_an_entry_of_another_form_is_refused_with_its_place(entry: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parsed(entry)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "it holds a list; expected an object"),
        ("{", "not valid JSON.*Mend the file"),
        ("{}", "field 'version': it is missing; expected 1"),
        ('{"version": 2, "advice": []}', "field 'version': it is 2; expected 1"),
        ('{"version": 1}', "field 'advice': it is missing; expected a list"),
        ('{"version": 1, "advice": {}}', "field 'advice': it is {}; expected a list"),
        ('{"version": 1, "advice": [], "more": 1}', "field 'more': unknown key"),
        ('{"version": 1, "version": 1, "advice": []}', "the key is there twice"),
        ('{"advice": ' + 200 * "[" + 200 * "]" + "}", "nested too deep"),
        ('{"advice": ' + 200 * "[", "not valid JSON|nested too deep"),
        ('{"version": ' + 50 * "1" + "}", "64 bits"),
    ],
)
def test_a_file_of_another_form_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        advice.parse(text, "advice.json")
    assert "advice.json" in str(caught.value)


def test_a_wrong_type_is_a_type_error() -> None:
    with pytest.raises(ConfigTypeError):
        parsed({**SKIPPED, "cause": 3})


def test_of_two_entries_that_contradict_each_other_the_earlier_one_counts() -> None:
    same = {**CLIPPED, "cause": "too few steps"}
    other = {**same, "qat": {"set": {"retrain_data_config.clip_max": 7, "x": 1}}}
    found = parsed(CLIPPED, other, same)
    assert [entry.cause for entry, _ in found.cures("qat")] == ["clipping", "too few steps"]
    (left,) = found.not_applied("qat")
    assert left.entry.cure("qat") == Cure(values={"retrain_data_config.clip_max": 7, "x": 1})
    assert left.why == "an earlier entry sets retrain_data_config.clip_max to 6.1"


def test_two_layers_may_have_different_values() -> None:
    other = {**CLIPPED, "layer": "b", "qat": {"set": {"retrain_data_config.clip_max": 7}}}
    assert len(parsed(CLIPPED, other).cures("qat")) == 2
