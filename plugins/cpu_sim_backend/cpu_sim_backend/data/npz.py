"""``.npz`` files, read and written in memory that does not grow with them."""

from __future__ import annotations

import contextlib
import os
import shutil
import zipfile
from typing import IO, Any, ContextManager, Dict, Iterator, Mapping, Tuple

import attrs
import numpy as np

from amct_core.array_files import read_header, reading
from amct_core.errors import FileFormatError, ModelError
from amct_core.files import FileSet, writing
from cpu_sim_backend.data.source import Array, Batch, DataSource, batch_count

_format: Any = np.lib.format  # without types in NumPy 1

_COPIED_AT_ONCE = 1 << 20
_LARGEST = float(np.finfo(np.float32).max)
_REMEDY = "Write it with numpy.savez(path, data=array)."


@attrs.frozen
class _Member:
    """One array of an ``.npz`` file."""

    name: str
    shape: Tuple[int, ...]
    dtype: np.dtype[Any]


class NpzSource(DataSource):
    """An ``.npz`` file, which is never in memory as a whole.

    Args:
        path: of the file; one array per network input, keyed by blob name.

    Raises:
        FileFormatError: the file is missing or not an ``.npz`` file of plain arrays.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        with self._reading(), zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            self._members = [self._member(archive, name) for name in names]
        if not self._members:
            raise self._unreadable("it holds no array")

    @property
    def lengths(self) -> Mapping[str, int]:
        """The number of samples of each array."""
        return {member.name: member.shape[0] for member in self._members}

    def read(self, batch_size: int) -> Iterator[Batch]:
        """Yield batches as they come out of the file."""
        return self.read_rows(self._equal_rows(batch_size))

    def read_rows(self, rows: Mapping[str, int]) -> Iterator[Batch]:
        """Yield batches as they come out of the file."""
        members = [member for member in self._members if member.name in rows]
        with contextlib.ExitStack() as opened:
            with self._reading():
                archive = opened.enter_context(zipfile.ZipFile(self._path))
                streams = [archive.open(f"{member.name}.npy") for member in members]
                for member, stream in zip(members, streams):
                    read_header(stream, archive.getinfo(f"{member.name}.npy").file_size)
            for index in range(batch_count(self.lengths, rows)):
                batch = {}
                for member, stream in zip(members, streams):
                    count = rows[member.name]
                    count = min(count, member.shape[0] - index * count)
                    batch[member.name] = self._rows(member, stream, count)
                yield batch

    def _rows(self, member: _Member, stream: Any, count: int) -> Array:
        shape = (count, *member.shape[1:])
        size = int(np.prod(shape)) * member.dtype.itemsize
        with self._reading():
            content = stream.read(size)
        if len(content) != size:
            raise self._unreadable(f"array '{member.name}' is cut off")
        rows = np.frombuffer(content, member.dtype).reshape(shape)
        self._check_range(member, rows)
        return rows

    def _check_range(self, member: _Member, rows: Array) -> None:
        """Refuse finite numbers that would be infinite in float32, in which networks compute."""
        if member.dtype.kind != "f" or member.dtype.itemsize <= 4:
            return
        beyond = rows[(np.abs(rows) > _LARGEST) & np.isfinite(rows)]
        if beyond.size:
            raise FileFormatError(
                f"array '{member.name}' has {float(beyond[0]):.9g}; networks compute in float32, "
                f"which ends at {_LARGEST:.9g}.",
                file=self._path,
                remedy="Scale the data as in training.",
            )

    def _member(self, archive: zipfile.ZipFile, file: str) -> _Member:
        name = file[: -len(".npy")]
        remedy = f"Write it with numpy.savez(path, {name}=numpy.ascontiguousarray(array))."
        with archive.open(file) as stream:
            try:
                header = read_header(stream, archive.getinfo(file).file_size)
            except ValueError as error:
                raise self._unreadable(f"array '{name}': {error}", remedy) from error
        if header.fortran_order or not header.shape:
            problem = f"array '{name}' is not a plain array of samples in C order"
            raise self._unreadable(problem, remedy)
        return _Member(name, header.shape, header.dtype)

    def _reading(self) -> ContextManager[None]:
        return reading(self._path, ".npz", _REMEDY)

    def _unreadable(self, reason: str, remedy: str = _REMEDY) -> FileFormatError:
        return FileFormatError(
            f"cannot be read as an .npz file: {reason}.", file=self._path, remedy=remedy
        )


@attrs.define
class _Waiting:
    """The rows of one array that have come so far, in a file of their own."""

    stream: IO[bytes]
    path: str
    row: Tuple[int, ...]
    dtype: np.dtype[Any]
    rows: int = 0

    @property
    def shape(self) -> Tuple[int, ...]:
        return (self.rows, *self.row)


class NpzWriter:
    """Writes an ``.npz`` file as results come; it appears whole or not at all.

    Arrays wait in files of their own, because a zip archive takes one member after the other.  They
    are written and not mapped: pages of a mapped file count as memory of the process.

    Args:
        path: of the file.
        folder: for the waiting arrays; the caller removes it.
    """

    def __init__(self, path: str, folder: str) -> None:
        self._path = path
        self._folder = folder
        self._arrays: Dict[str, _Waiting] = {}

    def add(self, batch: Mapping[str, Array]) -> None:
        """Append the rows of one batch to each array.

        Raises:
            ModelError: rows are not of the shape of those before them.
            AmctError: there is no space for them.
        """
        for name, rows in batch.items():
            waiting = self._arrays.get(name)
            if waiting is None:
                _check_member(name)
                path = os.path.join(self._folder, str(len(self._arrays)))
                with writing(self._path):
                    stream = open(path, "wb")  # noqa: SIM115
                waiting = _Waiting(stream, path, rows.shape[1:], rows.dtype)
                self._arrays[name] = waiting
            if (rows.shape[1:], rows.dtype) != (waiting.row, waiting.dtype):
                raise ModelError(
                    f"blob '{name}' is {rows.dtype} of shape {rows.shape} after {waiting.dtype} "
                    f"of shape (N, {', '.join(map(str, waiting.row))}).",
                    remedy="Its shape depends on the batch: choose a --batch-size that divides the "
                    "number of samples, or leave it out.",
                )
            with writing(self._path):
                waiting.stream.write(np.asarray(rows, order="C").data)
            waiting.rows += len(rows)

    def close(self) -> Dict[str, Tuple[int, ...]]:
        """Write the file; return the shapes of its arrays."""
        with FileSet() as files, files.open(self._path) as stream, _archive(stream) as archive:
            for name, waiting in self._arrays.items():
                waiting.stream.close()
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    header = {
                        "descr": _format.dtype_to_descr(waiting.dtype),
                        "fortran_order": False,
                        "shape": waiting.shape,
                    }
                    _format.write_array_header_1_0(member, header)
                    with open(waiting.path, "rb") as rows:
                        shutil.copyfileobj(rows, member, _COPIED_AT_ONCE)
        return {name: waiting.shape for name, waiting in self._arrays.items()}


def _check_member(name: str) -> None:
    """Check that whoever unpacks the file gets an array of this name inside a folder."""
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or not parts[0] or "\0" in name:
        raise ModelError(
            f"blob {name!r} cannot be a member of an .npz file: unpacked, it would lie outside.",
            remedy="Rename the blob, or ask for others with --outputs.",
        )


def _archive(stream: IO[bytes]) -> zipfile.ZipFile:
    return zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED)
