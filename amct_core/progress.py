"""How far a loop has come: a bar on a terminal, lines of the log elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from typing import Callable, Iterable, Iterator, TypeVar

Item = TypeVar("Item")

_SECONDS_BETWEEN_LINES = 30.0

_log = logging.getLogger("amct_core.progress")


def progress(
    items: Iterable[Item], total: int, what: str, size: Callable[[Item], int] = lambda item: 1
) -> Iterator[Item]:
    """Yield ``items``, and show after each how far they have come.

    Args:
        items: to go through.
        total: the sum of their sizes.
        what: is done, such as ``simulating``.
        size: of one item.
    """
    if sys.stderr.isatty():
        yield from _with_bar(items, total, what, size)
    else:
        yield from _with_lines(items, total, what, size)


def _with_bar(
    items: Iterable[Item], total: int, what: str, size: Callable[[Item], int]
) -> Iterator[Item]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        for item in items:
            yield item
            bar.advance(task, size(item))


def _with_lines(
    items: Iterable[Item], total: int, what: str, size: Callable[[Item], int]
) -> Iterator[Item]:
    done, line = 0, time.monotonic()
    for item in items:
        yield item
        done += size(item)
        now = time.monotonic()
        if now - line >= _SECONDS_BETWEEN_LINES:
            line = now
            _log.info("%s: %d of %d", what, done, total)
