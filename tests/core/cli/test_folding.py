"""Names and sentences fit the terminal, and nothing of them is cut off."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.cli.folding import folded, in_columns, names_in_lines, output_width
from amct_core.cli.output import print_columns, print_names

GOOGLENET = ("inception_3a/3x3_reduce", "inception_4e/pool_proj", "loss1/ave_pool")
LINES = st.text(st.characters(blacklist_categories=("Cc", "Zs", "Cs", "Zl", "Zp")), max_size=200)


@given(LINES, st.integers(1, 40))
def test_folded_text_is_whole_and_fits(text: str, width: int) -> None:
    lines = folded(text, width)
    assert "".join(lines) == text
    assert all(len(line) <= width for line in lines)


@given(st.lists(st.text("abc/", min_size=1, max_size=30)), st.integers(1, 60))
def test_only_spaces_go_where_a_sentence_folds(words: list[str], width: int) -> None:
    text = " ".join(words)
    lines = folded(text, width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(len(line) <= width for line in lines)


def test_a_name_folds_behind_its_parts() -> None:
    assert folded("inception_3a/3x3_reduce", 15) == ["inception_3a/", "3x3_reduce"]
    assert folded("conv2d_17_weights_fused", 12) == ["conv2d_17_", "weights_", "fused"]


@given(
    st.lists(st.tuples(LINES, LINES, LINES), min_size=1, max_size=4),
    st.integers(60, 120),
)
def test_columns_are_whole_and_fit(rows: list[tuple[str, str, str]], width: int) -> None:
    lines = in_columns(rows, "  ", width)
    assert all(len(line) <= width for line in lines)
    shown = sorted("".join(lines).replace(" ", ""))
    assert shown == sorted("".join(cell for row in rows for cell in row).replace(" ", ""))


def test_without_a_width_a_row_is_a_line() -> None:
    rows = [(40 * "a", "b"), ("c", 200 * "d")]
    assert in_columns(rows, "", None) == [f"{40 * 'a'}  b", f"c{41 * ' '}{200 * 'd'}"]


def test_a_sentence_folds_in_its_column() -> None:
    rows = [("conv1", "its filter has five dimensions"), ("pool1", "MAX")]
    assert in_columns(rows, "  ", 30) == [
        "  conv1  its filter has five",
        "         dimensions",
        "  pool1  MAX",
    ]


@given(st.lists(st.text("ab/_", min_size=1, max_size=40), min_size=1), st.integers(10, 80))
def test_names_are_never_broken(names: list[str], width: int) -> None:
    lines, left = names_in_lines(names, width)
    assert (" ".join(lines).split(", "), left) == (names, 0)
    assert all(len(line) <= width or " " not in line for line in lines)


@given(
    st.lists(st.text("ab/_", min_size=1, max_size=40), min_size=1),
    st.integers(10, 80),
    st.integers(1, 3),
)
def test_names_for_which_there_is_no_room_are_counted(
    names: list[str], width: int, most: int
) -> None:
    lines, left = names_in_lines(names, width, most)
    assert len(lines) + (left > 0) <= most + 1
    shown = re.findall(r"[ab/_]+", " ".join(lines))
    assert shown == names[: len(names) - left]


@pytest.mark.parametrize(
    ("columns", "width"), [("70", 70), ("", None), ("wide", None), ("0", None)]
)
def test_a_pipe_has_no_width_unless_columns_says_it(
    monkeypatch: pytest.MonkeyPatch, columns: str, width: int | None
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert output_width() == width


@pytest.fixture
def printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """Return a function that prints at a width, and returns the lines."""

    def run(columns: str, function: Any, *arguments: Any, **options: Any) -> list[str]:
        monkeypatch.setenv("COLUMNS", columns)
        function(*arguments, **options)
        return capsys.readouterr().out.splitlines()

    return run


def test_a_narrow_terminal_folds_columns_and_a_pipe_does_not(
    printed: Callable[..., list[str]],
) -> None:
    rows = [(name, "has a reason that takes quite a number of words") for name in GOOGLENET]
    assert printed("", print_columns, rows)[0] == "  ".join(("inception_3a/3x3_reduce", rows[0][1]))
    narrow = printed("44", print_columns, rows)
    assert max(map(len, narrow)) <= 44
    assert narrow[0].split()[0] + narrow[1].split()[0] == GOOGLENET[0]


def test_names_of_many_layers_take_three_lines(printed: Callable[..., list[str]]) -> None:
    names = [f"res{i}a_branch2b_scale" for i in range(100)]
    lines = printed("80", print_names, names)
    assert len(lines) == 4 and max(map(len, lines)) <= 80
    shown = " ".join(lines[:3]).replace(",", "").split()
    assert shown == names[: len(shown)]
    assert lines[3] == f"  and {100 - len(shown)} more (--json lists all)"
    assert " ".join(printed("80", print_names, names, most_lines=None)).count("branch2b") == 100
