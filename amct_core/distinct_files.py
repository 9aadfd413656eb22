"""Refuses a step that would write over a file that it reads, or write two results into one file.

Two paths are the same file if they are equal after all symbolic links, or if they name one file
that exists (a hard link, or a file system that ignores case).
"""

from __future__ import annotations

import os
from typing import Mapping, Optional

from amct_core.errors import ConfigError
from amct_core.file_names import saved_files

Files = Mapping[str, Optional[str]]
"""Paths by the argument that gives them; None where it is not given."""


def check_distinct(
    inputs: Files, outputs: Files, save_path: Optional[str] = None, save_type: str = "Both"
) -> None:
    """Check that no output is an input, or another output.

    Args:
        inputs: what the step reads.
        outputs: what it writes.
        save_path: folder and prefix of the models that it saves; None: it saves none.
        save_type: which ones.

    Raises:
        ConfigError: naming both arguments.
    """
    written = [(name, path) for name, path in outputs.items() if path is not None]
    if save_path is not None:
        written += [("save_path", path) for path in saved_files(save_path, save_type)]
    for place, (name, path) in enumerate(written):
        for other, read in inputs.items():
            if read is not None and _same(path, read):
                raise _error(path, name, f"{other}, which is read and would be overwritten")
        for other, earlier in written[:place]:
            if _same(path, earlier):
                raise _error(path, name, f"{other}, which is written, too")


def _same(path: str, other: str) -> bool:
    if os.path.realpath(path) == os.path.realpath(other):
        return True
    try:
        return os.path.samefile(path, other)
    except OSError:  # one of them does not exist
        return False


def _error(path: str, name: str, other: str) -> ConfigError:
    return ConfigError(
        f"{name} is the same file as {other}.",
        file=path,
        field=name,
        remedy=f"Give {name} another path.",
    )
