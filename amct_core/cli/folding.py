"""Fits names and sentences into the width of a terminal without cutting anything off."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence

USUAL_WIDTH = 80
_LEAST_COLUMN = 8
_LEAST_LAST_COLUMN = 24
_GAP = 2
_BREAKS_BEHIND = "/._-:,"


def output_width() -> int | None:
    """Return how many columns standard output has.

    ``COLUMNS`` counts if it is set, then the terminal.  None: neither is there, as in a pipe, where
    a line is as long as it needs to be, so that ``grep`` finds whole names.
    """
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return int(columns)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def folded(text: str, width: int) -> list[str]:
    """Return ``text`` in lines of at most ``width``.

    A line ends at a space, which goes; else behind one of ``/._-:,``; else anywhere, so that the
    lines joined are the text.
    """
    lines = []
    while len(text) > width:
        space = text.rfind(" ", 1, width + 1)
        if space > 0:
            lines.append(text[:space])
            text = text[space + 1 :]
            continue
        behind = 1 + max(text.rfind(each, 0, width) for each in _BREAKS_BEHIND)
        end = behind or width
        lines.append(text[:end])
        text = text[end:]
    return [*lines, text]


def in_columns(rows: Sequence[Sequence[str]], indent: str, width: int | None) -> list[str]:
    """Return the lines of rows with aligned columns.

    Args:
        rows: of cells.
        indent: before each line.
        width: of a line; None: as long as it needs to be.
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    if width is not None:
        widths = _fitting(widths, width - len(indent))
    lines = []
    for row in rows:
        cells = [folded(cell, wide) for cell, wide in zip(row, widths)]
        for i in range(max(map(len, cells))):
            parts = (cell[i] if i < len(cell) else "" for cell in cells)
            line = (" " * _GAP).join(part.ljust(wide) for part, wide in zip(parts, widths))
            lines.append((indent + line).rstrip())
    return lines


def _fitting(widths: Sequence[int], width: int) -> list[int]:
    """Return widths of columns that fit ``width``, if they can: the widest give way first."""
    *first, last = widths
    room = width - _GAP * len(first)
    least_last = min(last, _LEAST_LAST_COLUMN)
    while first and sum(first) + least_last > room and max(first) > _LEAST_COLUMN:
        first[first.index(max(first))] -= 1
    return [*first, max(min(last, room - sum(first)), min(last, _LEAST_COLUMN), 1)]


def names_in_lines(
    names: Sequence[str], width: int, most_lines: int | None = None
) -> tuple[list[str], int]:
    """Return names in lines of at most ``width``, and how many of them did not find room.

    A name is never broken: one that is longer than a line has one of its own.

    Args:
        names: any texts.
        width: of a line.
        most_lines: how many lines there may be where names are left, for which the caller needs a
            line; without such a line there may be one more.  None: as many as it takes.
    """
    lines: list[str] = []
    begins: list[int] = []
    for place, name in enumerate(names):
        text = name if place == len(names) - 1 else f"{name},"
        if lines and len(lines[-1]) + 1 + len(text) <= width:
            lines[-1] += f" {text}"
        else:
            lines.append(text)
            begins.append(place)
    if most_lines is None or len(lines) <= most_lines + 1:
        return lines, 0
    return lines[:most_lines], len(names) - begins[most_lines]
