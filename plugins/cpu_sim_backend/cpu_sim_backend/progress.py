"""How far a run through samples has come."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, Mapping, TypeVar

from amct_core import progress as any_progress

Batch = TypeVar("Batch", bound=Mapping[str, Any])


def progress(batches: Iterable[Batch], samples: int, what: str) -> Iterator[Batch]:
    """Yield ``batches``, and show how many of the ``samples`` are done."""
    return any_progress.progress(
        batches, samples, what, lambda batch: len(next(iter(batch.values())))
    )
