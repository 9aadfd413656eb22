"""A progress bar on standard error, where somebody looks at it."""

from __future__ import annotations

import sys
from typing import Any, Iterable, Iterator, Mapping, TypeVar

Batch = TypeVar("Batch", bound=Mapping[str, Any])


def progress(batches: Iterable[Batch], samples: int, what: str) -> Iterator[Batch]:
    """Yield ``batches``, and show how far they have come if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield from batches
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=samples)
        for batch in batches:
            yield batch
            bar.advance(task, len(next(iter(batch.values()))))
