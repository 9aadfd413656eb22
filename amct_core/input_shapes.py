"""Shapes of network inputs as people write them: ``data:1,3,224,224``, as ATC takes them."""

from __future__ import annotations

from typing import Dict, Iterable, Mapping, Tuple

from amct_core.errors import ConfigError

InputShapes = Mapping[str, Tuple[int, ...]]
"""Shapes by input blob, batch size first."""


def parse(texts: Iterable[str]) -> Dict[str, Tuple[int, ...]]:
    """Return the shapes that ``texts`` give, each ``NAME:DIMS``; ``;`` separates several.

    Raises:
        ConfigError: a text is none, or names an input twice.
    """
    shapes: Dict[str, Tuple[int, ...]] = {}
    for text in texts:
        for part in filter(None, text.split(";")):
            name, shape = _parse_one(part)
            if name in shapes:
                raise ConfigError(
                    f"input '{name}' is given twice.",
                    field="--input-shape",
                    remedy="Give each input once.",
                )
            shapes[name] = shape
    return shapes


def _parse_one(text: str) -> Tuple[str, Tuple[int, ...]]:
    name, _, dims = text.rpartition(":")
    sizes = [dim.strip() for dim in dims.split(",")]
    if not name or not all(size.isascii() and size.isdigit() and int(size) for size in sizes):
        raise ConfigError(
            f"it is '{text}'; expected the name of an input and its dimensions, batch size first, "
            "each an integer above 0.",
            field="--input-shape",
            remedy="Write for example --input-shape data:1,3,224,224.",
        )
    return name.strip(), tuple(map(int, sizes))
