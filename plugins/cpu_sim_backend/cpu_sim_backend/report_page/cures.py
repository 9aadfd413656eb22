"""Cures in the words of the configuration files."""

from __future__ import annotations

import json
import shlex
from typing import Any, Dict, Optional, Sequence, Tuple

import attrs

from cpu_sim_backend.analysis.model import Change, Finding

_ENABLING = {"qat": "retrain_enable", "ptq": "quant_enable"}
_KINDS = {"qat": "Quantization-aware training", "ptq": "Post-training quantization"}


@attrs.frozen
class Lines:
    """What cures change in one configuration.

    Attributes:
        kind: which one, in words.
        text: the entries of the layers as they stand in the JSON, changed settings only; may be
            empty.
        removed: settings to be removed, each with its layer before it.
    """

    kind: str
    text: str
    removed: Tuple[str, ...] = ()


def lines_of(findings: Sequence[Finding]) -> Tuple[Lines, ...]:
    """Return what the cures of findings change in either configuration, training first."""
    found = (_lines(findings, command) for command in _KINDS)
    return tuple(lines for lines in found if lines is not None)


def commands_of(findings: Sequence[Finding], advice: str) -> Tuple[str, ...]:
    """Return the commands that write the cures of all findings into a configuration.

    Args:
        findings: of the report.
        advice: path of the file that holds the cures.
    """
    return tuple(
        f"amct {command} config MODEL WEIGHTS --apply {shlex.quote(advice)} -o config.json"
        for command in _KINDS
        if _lines(findings, command) is not None
    )


def _lines(findings: Sequence[Finding], command: str) -> Optional[Lines]:
    changes = [(each.layer, change) for each in findings if (change := _change(each, command))]
    if not changes:
        return None
    entries = {layer: entry for layer, change in changes if (entry := _entry(change, command))}
    removed = tuple(
        f"{layer}.{key}"
        for layer, change in changes
        for key, value in change.values
        if value is None
    )
    return Lines(_KINDS[command], _members(entries), removed)


def _change(finding: Finding, command: str) -> Optional[Change]:
    change = finding.qat if command == "qat" else finding.ptq
    return change if change is not None and (change.skip or change.values) else None


def _entry(change: Change, command: str) -> Dict[str, Any]:
    """Return the entry of a layer in the JSON with nothing but what is changed."""
    entry: Dict[str, Any] = {_ENABLING[command]: False} if change.skip else {}
    for key, value in change.values:
        if value is not None:
            *sections, last = key.split(".")
            place = entry
            for section in sections:
                place = place.setdefault(section, {})
            place[last] = value
    return entry


def _members(entries: Dict[str, Dict[str, Any]]) -> str:
    """Return the members of a JSON object without its braces."""
    lines = json.dumps(entries, indent=2, ensure_ascii=False).split("\n")[1:-1]
    return "\n".join(line[2:] for line in lines)
