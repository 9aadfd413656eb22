"""Codes in the output of ``atc`` become explanations."""

from __future__ import annotations

import pytest

from ascend_backend.atc.error_codes import explain, known_codes

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


@pytest.mark.parametrize("code", RAISED_BY_THE_CAFFE_PARSER)
def test_every_code_of_the_caffe_parser_is_explained(code):
    assert code in known_codes()


def test_codes_are_unique_and_in_order():
    codes = [code.lstrip("E") for code in known_codes() if code.startswith("E")]
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
