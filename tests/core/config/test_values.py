"""JSON is read with the limits of 64 bits and of sane nesting."""

from __future__ import annotations

import json
from typing import Any

import pytest

from amct_core.config.values import Section, parse_json
from amct_core.errors import ConfigError, ConfigTypeError


@pytest.mark.parametrize("number", [0, 2**63 - 1, -(2**63)])
def test_integers_of_64_bits_are_read(number: int) -> None:
    assert parse_json(str(number)) == number


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**19, -(10**25)])
def test_others_are_not(number: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        parse_json(str(number))


def test_a_hundred_levels_are_read_and_no_more() -> None:
    assert parse_json("[" * 100 + "]" * 100)
    with pytest.raises(ValueError, match="at most 100 levels"):
        parse_json("[" * 101 + "]" * 101)


def section(**values: Any) -> Section:
    return Section.parse(json.dumps(values), "c.json")


def test_values_are_read_by_type_and_none_where_they_are_missing() -> None:
    given = section(b=True, i=3, f=0.5, s="x", n=[1, 0.5], t=["a"], o={"i": 4})
    assert (given.boolean("b"), given.integer("i"), given.number("f")) == (True, 3, 0.5)
    assert (given.number("i"), given.string("s")) == (3.0, "x")
    assert (given.numbers("n"), given.strings("t")) == ((1.0, 0.5), ("a",))
    assert given.section("o").integer("i") == 4
    assert given.section("o").field("i") == "o.i"
    for read in (given.boolean, given.integer, given.number, given.string, given.numbers):
        assert read("missing") is None
    assert given.strings("missing") == () and given.section("missing").data == {}


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("boolean", 1, "true or false"),
        ("integer", True, "an integer"),
        ("integer", 1.0, "an integer"),
        ("number", False, "a number"),
        ("number", "1", "a number"),
        ("string", 1, "a string"),
        ("numbers", [1, True], "a list of numbers"),
        ("numbers", 1, "a list of numbers"),
        ("strings", ["a", 1], "a list of strings"),
        ("strings", "a", "a list of strings"),
    ],
)
def test_a_value_of_another_type_is_refused(kind: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigTypeError, match=words) as caught:
        getattr(section(key=value), kind)("key")
    assert (caught.value.file, caught.value.field) == ("c.json", "key")


def test_a_section_is_an_object_with_known_keys_each_once() -> None:
    for text, words in (
        ("[1]", "holds a list"),
        ("{", "line 1, column 2"),
        ('{"a": 1, "a": 1}', "twice"),
    ):
        with pytest.raises(ConfigError, match=words):
            Section.parse(text, "c.json")
    with pytest.raises(ConfigError, match="expected an object in braces"):
        section(o=1).section("o")
    section(algo=1).check_keys(("algo",))
    for key, remedy in (("alog", "Did you mean 'algo'?"), ("zzz", "Remove the key.")):
        with pytest.raises(ConfigError, match="unknown key; expected one of algo") as caught:
            section(**{key: 1}).check_keys(("algo",))
        assert caught.value.remedy == remedy


def test_a_byte_order_mark_in_front_is_ignored() -> None:
    assert parse_json('\ufeff{"a": 1}') == {"a": 1}
