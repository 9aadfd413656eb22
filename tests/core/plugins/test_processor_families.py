"""Families of processors: what they check of themselves, and how one is found by name."""

from __future__ import annotations

from typing import Any, Sequence

import pytest

from amct_core.errors import AmctError, PluginError
from amct_core.extensions import Fact, ProcessorFamily
from amct_core.processor_families import find_family
from amct_core.registry import Registry

NO = Fact(False, "verified", "the manual")


def family(name: str = "Toy", pattern: str = "Toy[0-9]", **changed: Any) -> ProcessorFamily:
    arguments = {
        "name": name,
        "description": "a toy",
        "pattern": pattern,
        "examples": ("Toy1", "Toy2"),
        "quantizes_in_fp16": NO,
        "cuts_deq_scale": NO,
        "honours_shift_n": NO,
        "rolls_back": NO,
        "rolled_back": lambda graph: [],
    }
    return ProcessorFamily(**{**arguments, **changed})


def registry(families: Sequence[ProcessorFamily]) -> Registry[ProcessorFamily]:
    found: Registry[ProcessorFamily] = Registry("family of processors")
    for index, each in enumerate(families):
        found.add(each, f"plugin{index}")
    return found


def test_a_name_that_is_not_listed_belongs_to_the_pattern_it_matches() -> None:
    toy = family()
    assert find_family(registry([toy]), "Toy7") == toy


def test_an_unknown_name_lists_near_ones_of_every_plugin() -> None:
    families = [family(), family("Boy", "Boy[0-9]", examples=("Boy1",))]
    with pytest.raises(AmctError, match=r"such as Toy1, .*Boy1") as caught:
        find_family(registry(families), "toy1")
    assert caught.value.field == "--soc-version"


def test_without_a_plugin_that_knows_any_the_error_says_so() -> None:
    with pytest.raises(AmctError, match="no installed plugin knows any"):
        find_family(registry([]), "Toy1")


def test_a_name_that_two_families_claim_names_both_providers() -> None:
    families = [family(), family("Wide", "T.*")]
    with pytest.raises(PluginError, match="'Toy' \\(from plugin0\\) and 'Wide' \\(from plugin1\\)"):
        find_family(registry(families), "Toy1")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "two words", "two words"),
        ("pattern", "Toy[", "regular expression"),
        ("examples", (), "at least one"),
        ("examples", ("Toy1", "Doll1"), "Doll1"),
        ("rolls_back", True, "expected a Fact"),
        ("cuts_deq_scale", Fact("yes", "verified", "the manual"), "True, False or None"),
        ("rolled_back", "conv1", "expected a callable"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object, said: str) -> None:
    with pytest.raises(PluginError, match=said.replace("[", "\\[")):
        family(**{field: value})
