"""What the quantized layers read in a calibration, kept in files: one per group and batch.

Calibration runs where the user runs it, perhaps in another process; the files connect it with the
measurement of sensitivities.
"""

from __future__ import annotations

import os
from typing import Any, Iterator

import numpy as np
from numpy.typing import NDArray

from amct_core.array_files import load_npy
from amct_core.files import writing


def prefix(folder: str, number: int) -> str:
    """Return the prefix of the files of group ``number`` (from 0, in network order)."""
    return os.path.join(folder, str(number))


def keep(kept_as: str, number: int, x: NDArray[Any]) -> None:
    """Write batch ``number`` (from 1) as float32; one kept earlier is overwritten.

    Raises:
        AmctError: it cannot be written.
    """
    path = _file(kept_as, number)
    with writing(path):
        np.save(path, np.asarray(x, np.float32))


def batches(kept_as: str) -> Iterator[NDArray[np.float32]]:
    """Yield the batches that were kept, one in memory at a time.

    Raises:
        FileFormatError: a file is damaged.
    """
    number = 1
    while os.path.isfile(_file(kept_as, number)):
        yield load_npy(_file(kept_as, number), "Calibrate again.")
        number += 1


def _file(kept_as: str, number: int) -> str:
    return f"{kept_as}_{number}.npy"
