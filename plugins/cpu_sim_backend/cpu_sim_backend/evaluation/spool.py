"""Outputs of a whole data set for a metric, on the disk instead of in memory."""

from __future__ import annotations

import os
from typing import IO, Any, Dict, Mapping, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ModelError
from amct_core.files import writing

Array = NDArray[Any]


@attrs.define
class _Kept:
    stream: IO[bytes]
    path: str
    row: Tuple[int, ...]
    dtype: np.dtype[Any]
    rows: int = 0


@attrs.define
class Spool:
    """Arrays that grow by rows, each in a file of its own.

    Attributes:
        folder: where; the caller removes it.
    """

    folder: str
    _kept: Dict[str, _Kept] = attrs.field(factory=dict)

    def add(self, column: str, batch: Mapping[str, Array]) -> None:
        """Append the rows of a batch to the arrays of ``column``.

        Raises:
            ModelError: rows are not of the shape of those before them.
            AmctError: there is no space for them.
        """
        for blob, rows in batch.items():
            name = f"{column}\0{blob}"
            kept = self._kept.get(name)
            if kept is None:
                path = os.path.join(self.folder, str(len(self._kept)))
                with writing(path):
                    stream = open(path, "wb")  # noqa: SIM115
                kept = self._kept[name] = _Kept(stream, path, rows.shape[1:], rows.dtype)
            if rows.shape[1:] != kept.row:
                raise ModelError(
                    f"blob '{blob}' of {column} has shape {rows.shape} after "
                    f"(N, {', '.join(map(str, kept.row))}); a metric needs all samples in one "
                    "array.",
                    remedy="Choose a --batch-size that divides the number of samples, or leave "
                    "--metric out.",
                )
            with writing(kept.path):
                kept.stream.write(np.asarray(rows, order="C").data)
            kept.rows += len(rows)

    def arrays(self, column: str) -> Dict[str, Array]:
        """Return the arrays of ``column``, which the system reads as they are used."""
        found: Dict[str, Array] = {}
        for name, kept in self._kept.items():
            own, _, blob = name.partition("\0")
            if own == column:
                kept.stream.flush()
                shape = (kept.rows, *kept.row)
                found[blob] = (
                    np.memmap(kept.path, kept.dtype, "r", shape=shape)
                    if all(shape)
                    else np.empty(shape, kept.dtype)
                )
        return found

    def close(self) -> None:
        """Close the files."""
        for kept in self._kept.values():
            kept.stream.close()
