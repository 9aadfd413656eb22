"""Writes the shape of a network input into the record, for the layers that see it."""

from __future__ import annotations

import logging
from typing import Optional, Sequence, Tuple

from amct_caffe.qat.recording import MOST_AXES, sample_shape
from amct_caffe.runtime.ranks.processes import update_record

_log = logging.getLogger("amct_caffe.qat")


class ShapeRecorder:
    """Records what one layer of one net sees.

    Args:
        blob: the input, for messages.
        entries: of the record.
        record_file: the record.
        replaces: whether a shape that is in the record already gives way, and each new one counts.
    """

    def __init__(self, blob: str, entries: Sequence[str], record_file: str, replaces: bool) -> None:
        self._blob = blob
        self._entries = tuple(entries)
        self._file = record_file
        self._replaces = replaces
        self._seen: Optional[Tuple[int, ...]] = None

    def see(self, shape: Sequence[int]) -> None:
        """Take notice of a batch; ``shape`` has the batch size first."""
        sample = tuple(int(size) for size in shape[1:])
        if sample == self._seen or (self._seen is not None and not self._replaces):
            return
        self._seen = sample
        if len(sample) > MOST_AXES:
            _log.warning(
                "input '%s' has samples of shape %s, which a record cannot hold; save the model "
                "with --input-shape %s:N,%s",
                self._blob,
                sample,
                self._blob,
                ",".join(map(str, sample)),
            )
        held = sample if len(sample) <= MOST_AXES else None
        update_record(
            self._file, lambda record: sample_shape(record, self._entries, held, self._replaces)
        )
