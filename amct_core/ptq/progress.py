"""How many batches each layer has seen of a calibration that is not complete.

The record has no place for that.  It stands beside it, in ``<record>.calibration.json``, as one
JSON object of counts by layer name, and goes when every layer is complete.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Dict, Mapping, Sequence

from amct_core.config.values import Section
from amct_core.errors import ConfigError, FileFormatError
from amct_core.files import read_text, write_atomically


def progress_file(record_file: str) -> str:
    """Return the name of the file that stands beside the record."""
    return f"{record_file}.calibration.json"


def read(record_file: str) -> Mapping[str, int]:
    """Return the batches that each incomplete layer has seen; nothing where there is no file.

    Raises:
        FileFormatError: the file is not what :func:`note` wrote.
    """
    path = progress_file(record_file)
    if not os.path.isfile(path):
        return {}
    try:
        section = Section.parse(read_text(path), path)
        return {name: section.integer(name) or 0 for name in section.data}
    except ConfigError as error:
        raise FileFormatError(
            f"it is not a JSON object of counts: {error.problem}",
            file=path,
            remedy="Delete it; it only says how far a calibration is.",
        ) from error


def note(record_file: str, layers: Sequence[str], seen: int, batch_num: int) -> None:
    """Note that ``layers`` have seen ``seen`` of ``batch_num`` batches; complete ones go."""
    counts: Dict[str, int] = dict(read(record_file))
    for name in layers:
        if seen < batch_num:
            counts[name] = seen
        else:
            counts.pop(name, None)
    if counts:
        write_atomically(progress_file(record_file), json.dumps(counts, indent=1) + "\n")
    else:
        forget(record_file)


def forget(record_file: str) -> None:
    """Remove the file, if there is one."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(progress_file(record_file))
