"""What to carry to a machine that has ``atc``: model, weights, command and checksums.

The map of layer types goes along, if one is given, under a name of its own.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path
from typing import Dict, Tuple

import attrs

from amct_core.errors import AmctError
from amct_core.files import write_atomically
from ascend_backend.atc.command import Conversion, arguments, as_shell

SCRIPT, CHECKSUMS, OP_NAME_MAP = "convert.sh", "SHA256SUMS", "op_name_map.cfg"

_FIRST_OF_1980 = 315532800
"""A fixed time of modification (seconds since 1970), which every archive format can hold."""


@attrs.frozen
class Bundle:
    """A bundle that has been written.

    Attributes:
        path: the archive.
        command: what its script runs, as a line for the shell.
        left_out: files that the extra options name; they must be carried along by hand.
    """

    path: str
    command: str
    left_out: Tuple[str, ...]


def write_bundle(conversion: Conversion, name_map: str, path: str) -> Bundle:
    """Write the archive; the same files give the same bytes.

    Args:
        conversion: what is to be done, with paths on this machine.
        name_map: the ``*_quant.json``; left out where it does not exist.
        path: the ``.tar.gz`` to write.

    Raises:
        AmctError: a file cannot be read, or the archive not be written.
    """
    moved = attrs.evolve(
        conversion,
        model=Path(conversion.model).name,
        weights=Path(conversion.weights).name,
        output=Path(conversion.output).name,
        op_name_map=OP_NAME_MAP if conversion.op_name_map else "",
    )
    command = as_shell(arguments(moved))
    contents = {moved.model: _read(conversion.model), moved.weights: _read(conversion.weights)}
    if conversion.op_name_map:
        contents[OP_NAME_MAP] = _read(conversion.op_name_map, "Check the path.")
    if Path(name_map).is_file():
        contents[Path(name_map).name] = _read(name_map)
    contents[SCRIPT] = _script(command).encode()
    contents[CHECKSUMS] = _checksums(contents).encode()
    folder = Path(path).name.split(".tar", 1)[0]
    write_atomically(path, _archive(folder, contents))
    return Bundle(path, command, _named_files(conversion))


def _script(command: str) -> str:
    return f"""#!/bin/sh
# Converts the model beside this script.  Source CANN's set_env.sh before.
set -e
cd "$(dirname "$0")"
sha256sum -c {CHECKSUMS}
exec {command} "$@"
"""


def _checksums(contents: Dict[str, bytes]) -> str:
    """Return the lines that ``sha256sum -c`` reads."""
    return "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(contents.items())
    )


def _archive(folder: str, contents: Dict[str, bytes]) -> bytes:
    """Return a compressed archive without times, owners or anything else of this machine."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in sorted(contents.items()):
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            member.mtime = _FIRST_OF_1980
            member.mode = 0o755 if name == SCRIPT else 0o644
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(plain.getvalue(), mtime=0)


def _named_files(conversion: Conversion) -> Tuple[str, ...]:
    """Return the existing files among the values of the extra options."""
    values = (option.rpartition("=")[2] for option in conversion.extra)
    return tuple(value for value in values if Path(value).is_file())


def _read(path: str, remedy: str = "Check the PREFIX under which the model was saved.") -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise AmctError(
            f"cannot be read: {error.strerror or error}.",
            file=path,
            remedy=remedy,
        ) from error
