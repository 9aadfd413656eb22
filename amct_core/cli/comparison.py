"""Shows what two configurations or records say differently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from amct_core.cli.output import counted, print_names, print_sentence
from amct_core.differences import RECORD_KIND, Comparison, Difference

_MOST_ITEMS = 4


def print_comparison(comparison: Comparison) -> None:
    """Print the differences; layers with the same ones stand together.

    In a record, whose numbers differ a bit everywhere, the largest relative difference comes first;
    in a configuration, the order is that of the first file.
    """
    if comparison.whole:
        click.echo("whole config:")
        _print_lines(comparison.whole)
    for differences, names in _groups(comparison):
        if len(names) == 1:
            print_sentence(f"{names[0]}:")
        else:
            click.echo(f"{counted(len(names), 'layer')}:")
            print_names(names)
        _print_lines(differences)


def _print_lines(differences: Sequence[Difference]) -> None:
    for each in differences:
        print_sentence(f"{each.key}: {described(each)}", indent="    ")


def _groups(comparison: Comparison) -> list[tuple[Sequence[Difference], list[str]]]:
    groups: dict[tuple[str, ...], tuple[Sequence[Difference], list[str]]] = {}
    for name, differences in comparison.layers.items():
        text = tuple(f"{each.key} {each.first!r} {each.second!r}" for each in differences)
        groups.setdefault(text, (differences, []))[1].append(name)
    found = list(groups.values())
    if comparison.kind == RECORD_KIND:
        found.sort(key=lambda group: -_size(group[0]))
    return found


def _size(differences: Sequence[Difference]) -> float:
    """Return the largest relative difference; what has none, such as a value that is not set, 1."""
    return max(1.0 if each.relative is None else abs(each.relative) for each in differences)


def described(difference: Difference) -> str:
    """Return the two values, and how far they are apart."""
    first, second = difference.first, difference.second
    if difference.places:
        place = difference.worst_place
        count = f"{len(difference.places)} of {len(first)} differ"
        if len(first) > _MOST_ITEMS and place is not None:
            pair = f"{_pair(first[place], second[place])}{_share(difference)}"
            return f"{count}, most at {place}: {pair}"
        if len(first) > _MOST_ITEMS:
            place = difference.places[0]
            return f"{count}, first at {place}: {_pair(first[place], second[place])}"
    return f"{_pair(first, second)}{_share(difference)}"


def _pair(first: Any, second: Any) -> str:
    texts = _text(first), _text(second)
    if texts[0] == texts[1]:
        texts = repr(first), repr(second)
    return f"{texts[0]} -> {texts[1]}"


def _text(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        if len(value) > _MOST_ITEMS:
            return f"{len(value)} values"
        return f"[{', '.join(map(_text, value))}]"
    return str(value)


def _share(difference: Difference) -> str:
    share = difference.relative
    return "" if share is None else f" ({100 * share:+.3g} %)"
