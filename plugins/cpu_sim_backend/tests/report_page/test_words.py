"""How numbers read."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpu_sim_backend.report_page import words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-3.0, "−3"),
        (0.12345, "0.1235"),
        (123456.7, "123457"),
        (12345.0, "12345"),
        (999999.9, "1000000"),
        (0.0001234, "1.234 × 10⁻⁴"),
        (-5e20, "−5 × 10²⁰"),
        (math.nan, "not a number"),
        (math.inf, "infinite"),
        (-math.inf, "minus infinite"),
    ],
)
def test_numbers(value, text):
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 %"),
        (1e-9, "under 0.01 %"),
        (0.0213, "2.13 %"),
        (0.5, "50.0 %"),
        (0.99999, "over 99.99 %"),
        (1.0, "100.0 %"),
        (math.nan, "not a number"),
    ],
)
def test_shares(value, text):
    assert words.share(value) == text


@pytest.mark.parametrize(
    ("snr", "text"),
    [(31.24, "31.2 dB"), (-0.001, "0.0 dB"), (-3.0, "−3.0 dB"), (math.inf, "no difference")],
)
def test_signal_to_noise_ratios(snr, text):
    assert words.decibels(snr) == text


def test_a_cosine_that_is_not_1_never_reads_as_1():
    assert words.cosine(1.0) == "1.0000"
    assert words.cosine(0.99999) == "over 0.9999"


@given(st.sets(st.integers(0, 300)))
def test_ranges_name_every_index_and_no_other(indices):
    found = set()
    for part in filter(None, words.ranges(indices).split(", ")):
        first, _, last = part.partition("–")
        found.update(range(int(first), int(last or first) + 1))
    assert found == indices


def test_runs_of_three_become_a_range():
    assert words.ranges((9, 4, 5, 0, 1, 7, 8)) == "0, 1, 4, 5, 7–9"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "under 1 s"), (74.0, "74 s"), (600.0, "10 min"), (7200.0, "2.0 h")]
)
def test_durations(seconds, text):
    assert words.seconds(seconds) == text
