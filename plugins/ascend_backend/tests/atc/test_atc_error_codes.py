"""Codes in the output of ``atc`` become explanations."""

from __future__ import annotations

import pytest

from ascend_backend.atc.error_codes import explain, known_codes
from ascend_backend.lint import RULES

RAISED_BY_THE_CAFFE_PARSER = [
    "E10501",
    "E11001",
    "E11003",
    "E11004",
    "E11005",
    "E11008",
    "E11009",
    "E11012",
    "E11014",
    "E11015",
    "E11016",
    "E11017",
    "E11018",
    "E11021",
    "E11022",
    "E11023",
    "E11024",
    "E11027",
    "E11029",
    "E11032",
    "E11033",
    "E11035",
    "E11036",
    "E11037",
    "E13000",
    "E13001",
    "E13005",
    "E19999",
]
"""All codes that the sources in hicann/ge parser/parser/caffe report."""

RAISED_IN_APRIL_2021 = """
    E10001 E10003 E10005 E10013 E10014 E10016 E10017 E11001 E11002 E11003 E11004 E11005 E11006
    E11007 E11008 E11009 E11010 E11011 E11012 E11013 E11014 E11015 E11016 E11017 E11018 E11019
    E11021 E11022 E11023 E11024 E11025 E11026 E11027 E11028 E11029 E11030 E11031 E11032 E11033
    E11034 E11035 E11036 E12025 E12026 E12027 E19000 E19001 E19002 E19004 E19005 E19006 E19007
    E19008 E19009 E19010 E19011 E19015 E19016 E19017 E19018 E19020 E19021
"""
"""All codes in parser/caffe and parser/common of Ascend/parser, branch r1.3.0."""

RAISED_IN_DECEMBER_2023 = """
    E10001 E10002 E10003 E10005 E10013 E10014 E10016 E10017 E10501 E11001 E11003 E11004 E11005
    E11008 E11009 E11012 E11014 E11015 E11016 E11017 E11018 E11021 E11022 E11023 E11024 E11027
    E11029 E11032 E11033 E11035 E11036 E11037 E19000 E19001 E19002 E19004 E19005 E19009 E19010
    E19015 E19018 E19999
"""
"""All codes in parser/caffe and parser/common of Ascend/parser, branch master."""

RENAMED = [
    ("E11010", "E19999"),
    ("E11011", "E10501"),
    ("E11013", "E19999"),
    ("E11019", "E19999"),
    ("E11028", "E11005"),
    ("E19000", "E13000"),
    ("E19001", "E13001"),
    ("E19005", "E13005"),
    ("E19009", "E13009"),
    ("E19010", "E13010"),
    ("E19011", "E11037"),
]
"""Codes of 2021, and what hicann/ge reports in the same place."""


@pytest.mark.parametrize("code", (RAISED_IN_APRIL_2021 + RAISED_IN_DECEMBER_2023).split())
def test_every_code_of_older_parsers_is_explained(code):
    assert code in known_codes()


@pytest.mark.parametrize(("old", "new"), RENAMED)
def test_a_code_of_an_older_release_tells_that_of_today(old, new):
    (code,) = explain(f"{old}: something")
    assert (code.id, code.today) == (old, new)
    assert code.heading == f"{old} ({new} in present releases)"
    assert new in known_codes()


def test_a_code_of_today_tells_those_of_older_releases():
    assert known_codes()["E13010"].heading == "E13010 (E19010 in older releases)"
    assert known_codes()["E11009"].heading == "E11009"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_page_that_names_a_code_names_those_of_other_releases(rule):
    named = {code.id: code for code in explain(rule.page())}
    for code in named.values():
        others = {code.today} if code.today else set(code.formerly)
        assert not others or others & set(named), code.heading


def test_no_code_is_explained_twice():
    codes = known_codes()
    own = [code.id for code in codes.values() if code.today is None]
    assert not {old for code in codes.values() for old in code.formerly} & set(own)
    assert {code.today for code in codes.values() if code.today} <= set(own)


@pytest.mark.parametrize("code", RAISED_BY_THE_CAFFE_PARSER)
def test_every_code_of_the_caffe_parser_is_explained(code):
    assert code in known_codes()


def test_codes_are_unique_and_in_order():
    renamed = {old for code in known_codes().values() for old in code.formerly}
    codes = [code for code in known_codes() if code.startswith("E") and code not in renamed]
    assert codes == sorted(set(codes))


@pytest.mark.parametrize("code", known_codes().values(), ids=lambda code: code.id)
def test_meaning_and_advice_are_whole_sentences(code):
    for text in (code.meaning, code.what_to_do):
        assert text.endswith(".")
        assert text[0].isupper() or text.startswith(("atc", "--"))


def test_each_code_is_explained_once_in_the_order_of_appearance():
    output = "E13005: [PID: 7] ...\nE11009: ...\n E13005 again, [E19999], W11001."
    assert [code.id for code in explain(output)] == ["E13005", "E11009", "E19999", "W11001"]


def test_an_unknown_code_is_not_passed_over():
    (unknown,) = explain("EZ9999: no; E98765: yes")
    assert unknown.id == "E98765"
    assert "not in our table" in unknown.meaning


@pytest.mark.parametrize("text", ["E1100", "E110091", "0xE11009", "RE11009", "E11009a", "e11009"])
def test_what_only_resembles_a_code_is_none(text):
    assert explain(text) == ()
