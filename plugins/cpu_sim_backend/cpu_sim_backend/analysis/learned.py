"""Reads the learned clip bounds out of the metrics of a training."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from amct_core.errors import FileFormatError
from amct_core.files import read_text
from cpu_sim_backend.analysis.model import LearnedBounds

_Line = Tuple[int, float, float]
_QUANTIZER = "_activation_qat"


def learned_bounds(path: str, layers: Mapping[str, Sequence[str]]) -> Tuple[LearnedBounds, ...]:
    """Return the bounds over the iterations, of those of ``layers`` that the file names.

    Args:
        path: a file of JSON lines, as ``amct qat train --metrics`` writes it: ``{"iteration": 20,
            "bounds": {"conv1_activation_qat": [clip_max, clip_min]}}``; lines without bounds are
            ignored.
        layers: the quantized layers in network order, each with those that share its Quant, itself
            among them: bounds are named after one of these.

    Raises:
        AmctError: the file cannot be read, or is no such file.
    """
    found: Dict[str, List[_Line]] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        entry = _parsed(line, path, number)
        for name, pair in entry.get("bounds", {}).items():
            found.setdefault(name, []).append(_bounds(entry, pair, path, number))
    return tuple(
        LearnedBounds(
            layer,
            tuple(iteration for iteration, _, _ in lines),
            tuple(low for _, _, low in lines),
            tuple(high for _, high, _ in lines),
        )
        for layer, sharing in layers.items()
        for lines in [_of_any(sharing, found)]
        if lines
    )


def _of_any(layers: Sequence[str], found: Mapping[str, List[_Line]]) -> List[_Line]:
    return next((found[f"{n}{_QUANTIZER}"] for n in layers if f"{n}{_QUANTIZER}" in found), [])


def _parsed(line: str, path: str, number: int) -> Dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise _error(path, f"line {number} is no JSON: {error}.") from error
    if not isinstance(entry, dict) or not isinstance(entry.get("bounds", {}), dict):
        raise _error(path, f"line {number} is no object of values.")
    return entry


def _bounds(entry: Dict[str, Any], pair: Any, path: str, number: int) -> _Line:
    iteration = entry.get("iteration")
    numbers = isinstance(pair, list) and len(pair) == 2
    if not (numbers and all(isinstance(each, (int, float)) for each in (iteration, *pair))):
        raise _error(path, f"line {number} has bounds {pair!r} at iteration {iteration!r}.")
    return int(entry["iteration"]), float(pair[0]), float(pair[1])


def _error(path: str, problem: str) -> FileFormatError:
    return FileFormatError(
        f"{problem} Expected lines as 'amct qat train --metrics' writes them.",
        file=path,
        remedy="Give that file, or leave --metrics out.",
    )
