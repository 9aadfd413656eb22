"""A cure in the words of the configuration files."""

from __future__ import annotations

import json
from typing import Any, Dict, Optional, Tuple

import attrs

from cpu_sim_backend.analysis.model import Change, Finding

_ENABLING = {"qat": "retrain_enable", "ptq": "quant_enable"}
_KINDS = {"qat": "Quantization-aware training", "ptq": "Post-training quantization"}


@attrs.frozen
class Lines:
    """What a cure changes in one configuration.

    Attributes:
        kind: which one, in words.
        command: the name of its commands: qat or ptq.
        text: the entry of the layer as it stands in the JSON, changed settings only; may be empty.
        removed: dotted settings to be removed from it.
    """

    kind: str
    command: str
    text: str
    removed: Tuple[str, ...] = ()


def lines_of(finding: Finding) -> Tuple[Lines, ...]:
    """Return what a finding's cure changes in either configuration, training first."""
    changes = (("qat", finding.qat), ("ptq", finding.ptq))
    found = (_lines(finding.layer, change, command) for command, change in changes)
    return tuple(lines for lines in found if lines is not None)


def commands_of(findings: Tuple[Finding, ...]) -> Tuple[str, ...]:
    """Return the commands that write the cures of all findings into a configuration."""
    return tuple(
        f"amct {command} config MODEL WEIGHTS --apply advice.json -o config.json"
        for command in ("qat", "ptq")
        if any(lines.command == command for each in findings for lines in lines_of(each))
    )


def _lines(layer: str, change: Optional[Change], command: str) -> Optional[Lines]:
    if change is None or not (change.skip or change.values):
        return None
    entry: Dict[str, Any] = {_ENABLING[command]: False} if change.skip else {}
    for key, value in change.values:
        if value is not None:
            *sections, last = key.split(".")
            place = entry
            for section in sections:
                place = place.setdefault(section, {})
            place[last] = value
    text = json.dumps({layer: entry}, indent=2, ensure_ascii=False)[2:-2] if entry else ""
    removed = tuple(key for key, value in change.values if value is None)
    return Lines(_KINDS[command], command, _dedented(text), removed)


def _dedented(text: str) -> str:
    return "\n".join(line[2:] if line.startswith("  ") else line for line in text.split("\n"))
