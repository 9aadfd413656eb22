"""Images of a folder, decoded and preprocessed batch by batch."""

from __future__ import annotations

import importlib.util
import logging
import os
import struct
import zlib
from typing import Any, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_core.cli.installing import how_to_install
from amct_core.errors import AmctError, EnvironmentUnsuitableError, FileFormatError, ModelError
from cpu_sim_backend.data.preprocessing import Preprocessing
from cpu_sim_backend.data.source import Batch, DataSource

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Ends of the names of images, in either case."""

_EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")

_log = logging.getLogger("cpu_sim_backend.data")


class ImageFolderSource(DataSource):
    """The images in a folder and the folders below it, in the order of their paths.

    Paths are relative, with ``/`` between their parts, and ordered by code points, which no
    language setting changes.  Pillow decodes: to RGB, or to luma ``(299 R + 587 G + 114 B) / 1000``
    for GRAY; an alpha channel is dropped, an EXIF orientation ignored.

    Args:
        folder: its path.
        preprocessing: what is done to each image.
        blob: the network's input.
        shape: (C, H, W) of that input; None: that of the first image.

    Raises:
        EnvironmentUnsuitableError: Pillow is not installed.
        FileFormatError: the folder cannot be read, or holds no image.
    """

    def __init__(
        self,
        folder: str,
        preprocessing: Preprocessing,
        blob: str,
        shape: Optional[Sequence[int]] = None,
    ) -> None:
        if importlib.util.find_spec("PIL") is None:
            raise EnvironmentUnsuitableError(
                "an image folder needs Pillow.", remedy=f"Run: {how_to_install('amct[images]')}."
            )
        self._folder = folder
        self._preprocessing = preprocessing
        self._blob = blob
        self._files = tuple(_images(folder))
        self._shape = None if shape is None else tuple(shape)

    @property
    def files(self) -> Sequence[str]:
        """The images, in order, relative to the folder."""
        return self._files

    @property
    def lengths(self) -> Mapping[str, int]:
        """The number of images."""
        return {self._blob: len(self._files)}

    def read(self, batch_size: int) -> Iterator[Batch]:
        """Yield float32 batches (N, C, H, W).

        Raises:
            FileFormatError: an image cannot be decoded; it is named.
            ModelError: an image does not become what the network's input holds; it is named.
        """
        for start in range(0, len(self._files), batch_size):
            files = self._files[start : start + batch_size]
            first = self._image(files[0])
            # Filled image by image: a list of images would break free memory into small pieces.
            batch = np.empty((len(files), *first.shape), np.float32)
            batch[0] = first
            for index, file in enumerate(files[1:], 1):
                batch[index] = self._image(file)
            yield {self._blob: batch}

    def _image(self, file: str) -> NDArray[np.float32]:
        path = os.path.join(self._folder, *file.split("/"))
        pixels = _decoded(path, self._preprocessing)
        try:
            image = self._preprocessing.normalized(pixels)
        except AmctError as error:
            raise error.at(file=path) from error
        if self._shape is None:
            self._shape = image.shape
        if image.shape != self._shape:
            raise ModelError(
                f"it becomes {_sizes(image.shape)}; expected {_sizes(self._shape)} (channels, "
                "height, width).",
                file=path,
                remedy="Declare a resize, or a crop, that gives every image this size.",
            )
        return image


def _images(folder: str) -> List[str]:
    """Return the relative paths of the images below ``folder``."""
    found, others = [], 0
    for parent, _, names in os.walk(folder, onerror=_fail):
        for name in names:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                path = os.path.relpath(os.path.join(parent, name), folder)
                found.append(path.replace(os.sep, "/"))
            else:
                others += 1
    if not found:
        raise FileFormatError(
            f"it holds no image ({others} other files); expected names that end in "
            f"{', '.join(SUFFIXES)}.",
            file=folder,
            remedy="Give the folder of the images.",
        )
    found.sort()
    _log.info(
        "'%s': %d images in the order of their paths, '%s' to '%s'; %d other files ignored",
        folder,
        len(found),
        found[0],
        found[-1],
        others,
    )
    return found


def _fail(error: OSError) -> None:
    raise FileFormatError(
        f"cannot be read: {error.strerror or error}.", file=error.filename, remedy="Check the path."
    ) from error


def _decoded(path: str, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Return the resized image, (C, H, W) in the declared order of channels."""
    from PIL import Image

    damaged: Tuple[Any, ...] = (
        OSError,
        SyntaxError,  # what Pillow raises for a broken PNG
        ValueError,
        EOFError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    )
    try:
        with Image.open(path) as stored:
            mode = stored.mode
            if mode in _EIGHT_BITS:
                image = stored.convert("L" if preprocessing.channels == "GRAY" else "RGB")
    except damaged as error:
        raise FileFormatError(
            f"cannot be decoded as an image: {error}.",
            file=path,
            remedy="Replace it, or take it out of the folder.",
        ) from error
    if mode not in _EIGHT_BITS:
        raise FileFormatError(
            f"its pixels are of Pillow's mode '{mode}'; expected 8 bits per channel.",
            file=path,
            remedy="Convert it to 8 bits per channel, or take it out of the folder.",
        )
    size = preprocessing.size(*image.size)
    if size != image.size:
        resampling = Image.Resampling[preprocessing.filter.upper()]
        image = image.resize(size, resampling)
    pixels: NDArray[np.uint8] = np.asarray(image, np.uint8)
    if preprocessing.channels == "GRAY":
        return pixels[np.newaxis]
    channels_first = pixels.transpose(2, 0, 1)
    return channels_first[::-1] if preprocessing.channels == "BGR" else channels_first


def _sizes(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
