"""Names and sentences that come from elsewhere."""

from __future__ import annotations

import pytest

from cpu_sim_backend.report_page import text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("few weights are large", "Few weights are large."),
        ("It costs nothing.", "It costs nothing."),
        ("conv1_relu is clipped", "conv1_relu is clipped."),
        ("28.1 % are clipped", "28.1 % are clipped."),
        ("", ""),
    ],
)
def test_words_become_a_sentence_and_names_stay_as_they_are(words, sentence):
    assert text.sentence(words) == sentence


def test_a_name_may_go_on_in_the_next_line_behind_its_seams():
    pytest.importorskip("jinja2")
    assert text.folding("res2a/branch_1") == "<bdi>res2a/<wbr>branch_<wbr>1</bdi>"


def test_markup_of_the_page_is_left_as_it_is():
    markup = text.folding("a<b")
    assert text.readable(markup) is markup
    assert "a&lt;b" in markup
