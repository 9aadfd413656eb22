"""What is done to an image before a network sees it, declared in a JSON file.

In this order: decode to 8 bits per channel, resize, crop the centre, ``(pixel - mean) * scale`` or
``(pixel - mean) / std`` in float32 with pixels of 0..255, channels first.
"""

from __future__ import annotations

import math
from typing import Callable, Mapping, Optional, Tuple, Union

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.config.values import Section, given
from amct_core.errors import ModelError
from amct_core.extensions.frontend import ImageTransform
from amct_core.files import read_text

CHANNELS: Mapping[str, int] = {"BGR": 3, "RGB": 3, "GRAY": 1}
"""Channel orders, and how many channels each has."""

FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
"""Pillow's resampling filters."""

_KEYS = ("input", "channels", "resize", "filter", "crop", "mean", "scale", "std", "transform")
_GIVEN_BY_NETWORK = ("crop", "mean", "scale", "std")

TransformOf = Callable[[Optional[str]], ImageTransform]
"""Returns what a network's data layer does for an input; None: for its only one."""


@attrs.frozen
class ShortSide:
    """The shorter side gets ``pixels``, the longer one ``floor(pixels * longer / shorter)``."""

    pixels: int

    def size(self, width: int, height: int) -> Tuple[int, int]:
        """Return the width and height that an image gets."""
        short, long = min(width, height), max(width, height)
        other = self.pixels * long // short
        return (self.pixels, other) if width <= height else (other, self.pixels)


@attrs.frozen
class ExactSize:
    """Both sides are given; the aspect ratio may change."""

    width: int
    height: int

    def size(self, width: int, height: int) -> Tuple[int, int]:
        """Return the width and height that an image gets."""
        return self.width, self.height


@attrs.frozen(eq=False)
class Preprocessing:
    """From a decoded image to what a network's input holds.

    Attributes:
        channels: a key of :data:`CHANNELS`.
        input: the input blob; None: the network's only one.
        resize: to what size; None: as the image is.
        filter: one of :data:`FILTERS`, as Pillow defines it; all but ``nearest`` take every pixel
            that a smaller one covers into account.
        crop: width and height of the part that is kept, from the centre: its left and top are
            ``floor((size - crop) / 2)``, as in Caffe's TEST phase.  None: all.
        mean: float32 (C or 1, 1, 1), in the order of ``channels``; or (C, H, W), a value for each
            pixel before the crop.
        scale: factor after the mean.
        std: float32 (C, 1, 1), divisor in place of ``scale``; None: ``scale`` counts.
    """

    channels: str
    input: Optional[str] = None
    resize: Optional[Union[ShortSide, ExactSize]] = None
    filter: str = "bilinear"
    crop: Optional[Tuple[int, int]] = None
    mean: NDArray[np.float32] = attrs.field(factory=lambda: np.zeros((1, 1, 1), np.float32))
    scale: float = 1.0
    std: Optional[NDArray[np.float32]] = None

    def size(self, width: int, height: int) -> Tuple[int, int]:
        """Return the width and height that an image is resized to."""
        return (width, height) if self.resize is None else self.resize.size(width, height)

    def normalized(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Crop and normalise a resized image.

        Args:
            pixels: (C, H, W) in the order of ``channels``.

        Raises:
            ModelError: it is smaller than the crop, or not of the size of the mean image.
        """
        height, width = pixels.shape[1:]
        if self.mean.shape[1:] not in ((1, 1), (height, width)):
            rows, columns = self.mean.shape[1:]
            raise ModelError(
                f"it is {width} x {height} before the crop, and the mean image {columns} x {rows}.",
                remedy="Resize to the size of the mean image.",
            )
        window = self._window(width, height)
        kept = pixels[window].astype(np.float32)
        mean = self.mean[window] if self.mean.shape[1:] == (height, width) else self.mean
        centered = kept - mean
        result = centered * np.float32(self.scale) if self.std is None else centered / self.std
        return np.ascontiguousarray(result, np.float32)

    def _window(self, width: int, height: int) -> Tuple[slice, slice, slice]:
        if self.crop is None:
            return slice(None), slice(None), slice(None)
        crop_width, crop_height = self.crop
        left, top = (width - crop_width) // 2, (height - crop_height) // 2
        if left < 0 or top < 0:
            raise ModelError(
                f"it is {width} x {height} before the crop of {crop_width} x {crop_height}.",
                remedy="Resize to at least the crop.",
            )
        return slice(None), slice(top, top + crop_height), slice(left, left + crop_width)


def read(path: str, transform_of: Optional[TransformOf] = None) -> Preprocessing:
    """Read a declaration.

    Args:
        path: of the JSON file.
        transform_of: what the network's data layer does, for ``"transform": "network"``.

    Raises:
        ConfigError: naming file and field, what was found and what was expected.
    """
    return parse(read_text(path), path, transform_of)


def parse(
    text: str, file: Optional[str] = None, transform_of: Optional[TransformOf] = None
) -> Preprocessing:
    """Return the preprocessing that JSON ``text`` declares; errors as :func:`read`."""
    top = Section.parse(text, file)
    top.check_keys(_KEYS)
    network = _network(top, transform_of)
    channels = top.string("channels") or (network.channels if network else None) or ""
    if channels not in CHANNELS:
        found = f"it is {channels!r}" if channels else "it is missing"
        raise top.error("channels", f"{found}; expected one of {', '.join(CHANNELS)}.")
    declared = Preprocessing(
        channels=channels,
        input=top.string("input") or None,
        resize=_resize(top),
        **given(filter=_filter(top)),
    )
    if network is None:
        return _with_own_numbers(declared, top)
    if network.mean is not None and len(network.mean) not in (1, CHANNELS[channels]):
        raise top.error(
            "channels",
            f"it is '{channels}'; the network's data layer has means of {len(network.mean)} "
            "channels.",
        )
    mean = declared.mean if network.mean is None else network.mean
    crop = None if network.crop is None else (network.crop, network.crop)
    return attrs.evolve(declared, mean=mean, scale=network.scale, crop=crop)


def _network(top: Section, transform_of: Optional[TransformOf]) -> Optional[ImageTransform]:
    if "transform" not in top.data:
        return None
    if top.string("transform") != "network":
        raise top.error("transform", f"it is {top.data['transform']!r}; expected 'network'.")
    for key in _GIVEN_BY_NETWORK:
        if key in top.data:
            raise top.error(
                key, "it is given, and so is transform, which takes it from the network."
            )
    if transform_of is None:
        raise top.error("transform", "there is no network here to take it from.")
    return transform_of(top.string("input") or None)


def _with_own_numbers(declared: Preprocessing, top: Section) -> Preprocessing:
    scale = top.number("scale")
    if scale is not None and (not math.isfinite(scale) or scale == 0):
        raise top.error("scale", f"it is {scale}; expected a finite number other than 0.")
    if "scale" in top.data and "std" in top.data:
        raise top.error("std", "it is given, and so is scale; expected one of them.")
    mean, std = (_per_channel(top, key, CHANNELS[declared.channels]) for key in ("mean", "std"))
    if std is not None and not (std > 0).all():
        raise top.error("std", f"it is {top.data['std']}; expected numbers above 0.")
    return attrs.evolve(
        declared,
        **given(
            crop=_sides(top, "crop") if "crop" in top.data else None,
            mean=mean,
            scale=scale,
            std=std,
        ),
    )


def _per_channel(top: Section, key: str, channels: int) -> Optional[NDArray[np.float32]]:
    if key not in top.data:
        return None
    value = top.data[key]
    numbers = value if isinstance(value, list) else []
    valid = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in numbers)
    if len(numbers) != channels or not valid or not all(map(math.isfinite, numbers)):
        raise top.error(
            key, f"it is {value!r}; expected a list of {channels} numbers, one per channel."
        )
    return np.array(numbers, np.float32).reshape(-1, 1, 1)


def _resize(top: Section) -> Optional[Union[ShortSide, ExactSize]]:
    if "resize" not in top.data:
        return None
    section = top.section("resize")
    section.check_keys(("short_side", "width", "height"))
    if "short_side" not in section.data:
        return ExactSize(*_sides(top, "resize"))
    if len(section.data) > 1:
        raise section.error("short_side", "it is given, and so is a width or height.")
    return ShortSide(_pixels(section, "short_side"))


def _sides(top: Section, key: str) -> Tuple[int, int]:
    section = top.section(key)
    section.check_keys(("width", "height"))
    return _pixels(section, "width"), _pixels(section, "height")


def _pixels(section: Section, key: str) -> int:
    if key not in section.data:
        raise section.error(key, "it is missing; expected a number of pixels.")
    value = section.integer(key) or 0
    if value < 1:
        raise section.error(key, f"it is {value}; expected an integer above 0.")
    return value


def _filter(top: Section) -> Optional[str]:
    name = top.string("filter")
    if name is not None and name not in FILTERS:
        raise top.error("filter", f"it is {name!r}; expected one of {', '.join(FILTERS)}.")
    if "filter" in top.data and "resize" not in top.data:
        raise top.error("filter", "it is given, and nothing is resized.", "Add resize.")
    return name
