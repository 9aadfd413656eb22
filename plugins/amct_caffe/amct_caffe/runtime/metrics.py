"""A file of JSON lines with the numbers of a training."""

from __future__ import annotations

import json
import logging
from typing import IO, Any, Optional, Sequence

from amct_core.errors import AmctError

_log = logging.getLogger("amct_caffe.training")


class Metrics:
    """Writes one line per report; a full disk ends the lines, not the training.

    Args:
        path: the file.
        quantizers: the layers whose clip bounds are written: ActivationQAT.
        goes_on: whether a training is resumed: then lines are added to those that are there.

    Raises:
        AmctError: the file cannot be written.
    """

    def __init__(self, path: str, quantizers: Sequence[str] = (), goes_on: bool = False) -> None:
        self._path = path
        self._quantizers = tuple(quantizers)
        try:
            self._stream: Optional[IO[str]] = open(  # noqa: SIM115 - closed by close()
                path, "a" if goes_on else "w", encoding="utf-8", buffering=1
            )
        except OSError as error:
            raise AmctError(
                f"cannot be written: {error.strerror or error}.",
                file=path,
                remedy="Check the folder, its permissions and the space left.",
            ) from error

    def write(self, bounds_of: Any = None, **values: Any) -> None:
        """Write one line: ``values``, and a net's clip bounds as [clip_max, clip_min]."""
        if self._stream is None:
            return
        if bounds_of is not None and self._quantizers:
            values["bounds"] = {
                name: [float(blob.data.reshape(-1)[0]) for blob in list(bounds_of.params[name])[:2]]
                for name in self._quantizers
            }
        try:
            self._stream.write(f"{json.dumps(values)}\n")
        except OSError as error:
            _log.warning("'%s' gets no more lines: %s", self._path, error.strerror or error)
            self._stream = None

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
