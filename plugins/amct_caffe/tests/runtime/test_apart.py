"""A function in a process of its own, however it ends."""

from __future__ import annotations

import os
import time

import pytest

from amct_caffe.runtime.capabilities.apart import run_apart, sentence_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

FATAL = (
    "F1128 17:00:02.5 7 layer_factory.hpp:81] Check failed: 0 Unknown layer type: X "
    "(known types: A, B)"
)


def test_what_it_returns_comes_back() -> None:
    outcome = run_apart(lambda: {"found": [1, "two"]})
    assert (outcome.returned, outcome.value) == (True, {"found": [1, "two"]})


def test_what_it_raises_is_told() -> None:
    outcome = run_apart(lambda: 1 // 0)
    assert not outcome.returned
    assert outcome.sentence.startswith("ZeroDivisionError: ")


def test_an_abort_leaves_caffes_sentence() -> None:
    def abort() -> None:
        os.write(2, f"I1128 fine\n{FATAL}\n*** Check failure stack trace: ***\n".encode())
        os.abort()

    outcome = run_apart(abort)
    assert not outcome.returned
    assert outcome.sentence == "Check failed: 0 Unknown layer type: X"


def test_an_end_without_a_word_is_told() -> None:
    assert "ended with" in run_apart(os.abort).sentence


def test_what_never_ends_is_ended() -> None:
    outcome = run_apart(lambda: time.sleep(600), seconds=0.2)
    assert outcome.sentence == "no answer within 0.2 seconds"


def test_what_it_prints_does_not_show(capfd: pytest.CaptureFixture[str]) -> None:
    run_apart(lambda: os.write(2, b"noise"))
    assert capfd.readouterr() == ("", "")


def test_the_parser_of_prototxt_says_more_than_caffe() -> None:
    said = (
        "[libprotobuf ERROR a/text_format.cc:2] Error parsing text-format caffe.NetParameter: "
        f'1:2: no field named "odd".\n{FATAL}\n'
    )
    assert sentence_of(said).endswith('no field named "odd".')
    assert sentence_of("") == ""
