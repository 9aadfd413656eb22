"""Compares values key by key."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import attrs

from amct_core.differences.flat import Flat, Values
from amct_core.json_types import is_number


@attrs.frozen
class Difference:
    """Two values of a key; None: not set."""

    key: str
    first: Any
    second: Any

    @property
    def places(self) -> Tuple[int, ...]:
        """Where two sequences of one length differ; none for other values."""
        if not (_is_sequence(self.first) and _is_sequence(self.second)):
            return ()
        if len(self.first) != len(self.second):
            return ()
        pairs = enumerate(zip(self.first, self.second))
        return tuple(place for place, (first, second) in pairs if first != second)

    @property
    def worst_place(self) -> Optional[int]:
        """Where two sequences of numbers differ most, relative to the first; None: no such."""
        found = [(relative(self.first[i], self.second[i]), i) for i in self.places]
        known = [(abs(value), i) for value, i in found if value is not None]
        return max(known, key=lambda each: each[0])[1] if known else None

    @property
    def relative(self) -> Optional[float]:
        """``(second - first) / |first|`` of two numbers, or of two sequences where it is largest.

        None where there are no numbers, or the first is 0.
        """
        place = self.worst_place
        if place is not None:
            return relative(self.first[place], self.second[place])
        return relative(self.first, self.second)

    def as_json(self) -> Dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "key": self.key,
            "first": self.first,
            "second": self.second,
            "relative": self.relative,
        }


@attrs.frozen
class Comparison:
    """What two configurations or records say differently.

    Attributes:
        kind: what they are.
        whole: what is not of one layer.
        layers: the differences of each layer that is in both and differs.
        only_in_first, only_in_second: the layers that one of them lacks.
        compared: how many layers are in both.
    """

    kind: str
    whole: Tuple[Difference, ...]
    layers: Mapping[str, Tuple[Difference, ...]]
    only_in_first: Tuple[str, ...]
    only_in_second: Tuple[str, ...]
    compared: int

    @property
    def equal(self) -> bool:
        """Whether there is no difference."""
        return not (self.whole or self.layers or self.only_in_first or self.only_in_second)

    def as_json(self) -> Dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "kind": self.kind,
            "equal": self.equal,
            "layers_in_both": self.compared,
            "only_in_first": list(self.only_in_first),
            "only_in_second": list(self.only_in_second),
            "whole": [each.as_json() for each in self.whole],
            "layers": {
                name: [each.as_json() for each in found] for name, found in self.layers.items()
            },
        }


def compare(first: Flat, second: Flat) -> Comparison:
    """Return what differs between two of one kind; the order of layers does not count."""
    assert first.kind == second.kind
    both = [name for name in first.layers if name in second.layers]
    found = {name: _differences(first.layers[name], second.layers[name]) for name in both}
    return Comparison(
        first.kind,
        _differences(first.whole, second.whole),
        {name: each for name, each in found.items() if each},
        tuple(name for name in first.layers if name not in second.layers),
        tuple(name for name in second.layers if name not in first.layers),
        len(both),
    )


def relative(first: Any, second: Any) -> Optional[float]:
    """Return ``(second - first) / |first|``; None where these are no numbers, or the first is 0."""
    if not (is_number(first) and is_number(second)) or first == 0:
        return None
    # Two integers may differ by more than a float can hold.
    return (float(second) - float(first)) / abs(float(first))


def _differences(first: Values, second: Values) -> Tuple[Difference, ...]:
    keys = dict.fromkeys((*first, *second))
    pairs = ((key, first.get(key), second.get(key)) for key in keys)
    return tuple(Difference(*each) for each in pairs if each[1] != each[2])


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
