"""``.npz`` files, read and written in memory that does not grow with them."""

from __future__ import annotations

import zipfile
from typing import IO, Any, Dict, Iterator, Mapping, Tuple

import attrs
import numpy as np

from amct_core.errors import FileFormatError
from amct_core.files import FileSet
from cpu_sim_backend.data.source import Array, Batch, DataSource

_format: Any = np.lib.format  # without types in NumPy 1

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
        try:
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if name.endswith(".npy")]
                self._members = [self._member(archive, name) for name in names]
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise self._unreadable(str(error)) from error
        if not self._members:
            raise self._unreadable("it holds no array")

    @property
    def lengths(self) -> Mapping[str, int]:
        """The number of samples of each array."""
        return {member.name: member.shape[0] for member in self._members}

    def read(self, batch_size: int) -> Iterator[Batch]:
        """Yield batches as they come out of the file."""
        with zipfile.ZipFile(self._path) as archive:
            streams = [archive.open(f"{member.name}.npy") for member in self._members]
            for stream in streams:
                _header(stream)
            for start in range(0, self.samples, batch_size):
                count = min(batch_size, self.samples - start)
                pairs = zip(self._members, streams)
                yield {member.name: self._rows(member, s, count) for member, s in pairs}

    def _rows(self, member: _Member, stream: Any, count: int) -> Array:
        shape = (count, *member.shape[1:])
        size = int(np.prod(shape)) * member.dtype.itemsize
        content = stream.read(size)
        if len(content) != size:
            raise self._unreadable(f"array '{member.name}' is cut off")
        return np.frombuffer(content, member.dtype).reshape(shape)

    def _member(self, archive: zipfile.ZipFile, file: str) -> _Member:
        name = file[: -len(".npy")]
        with archive.open(file) as stream:
            shape, fortran_order, dtype = _header(stream)
        if fortran_order or dtype.hasobject or not shape:
            raise self._unreadable(f"array '{name}' is not a plain array of samples in C order")
        return _Member(name, shape, dtype)

    def _unreadable(self, reason: str) -> FileFormatError:
        return FileFormatError(
            f"cannot be read as an .npz file: {reason}.", file=self._path, remedy=_REMEDY
        )


def _header(stream: Any) -> Tuple[Tuple[int, ...], bool, np.dtype[Any]]:
    version = _format.read_magic(stream)
    if version == (1, 0):
        shape, fortran_order, dtype = _format.read_array_header_1_0(stream)
    else:
        shape, fortran_order, dtype = _format.read_array_header_2_0(stream)
    return shape, bool(fortran_order), dtype


class NpzWriter:
    """Writes an ``.npz`` file as results come; it appears whole or not at all.

    Arrays wait in files of their own, because a zip archive takes one member after the other.

    Args:
        path: of the file.
        samples: how many there will be.
        folder: for the waiting arrays; the caller removes it.
    """

    def __init__(self, path: str, samples: int, folder: str) -> None:
        self._path = path
        self._samples = samples
        self._folder = folder
        self._arrays: Dict[str, Any] = {}
        self._written = 0

    def add(self, batch: Mapping[str, Array]) -> None:
        """Append the rows of one batch to each array."""
        count = 0
        for name, rows in batch.items():
            if name not in self._arrays:
                self._arrays[name] = _format.open_memmap(
                    self._waiting(len(self._arrays)),
                    mode="w+",
                    dtype=rows.dtype,
                    shape=(self._samples, *rows.shape[1:]),
                )
            count = len(rows)
            self._arrays[name][self._written : self._written + count] = rows
        self._written += count

    def close(self) -> Dict[str, Tuple[int, ...]]:
        """Write the file; return the shapes of its arrays."""
        shapes = {name: array.shape for name, array in self._arrays.items()}
        names = list(self._arrays)
        self._arrays.clear()  # closes the maps
        with FileSet() as files, files.open(self._path) as stream, _archive(stream) as archive:
            for index, name in enumerate(names):
                archive.write(self._waiting(index), f"{name}.npy")
        return shapes

    def _waiting(self, index: int) -> str:
        return f"{self._folder}/{index}.npy"


def _archive(stream: IO[bytes]) -> zipfile.ZipFile:
    return zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED)
