"""Reads ``<save_path>_quant.json``: AMCT's map of layer names, with keys of our own beside it."""

from __future__ import annotations

from typing import Any, Mapping

from amct_core.config.values import parse_json
from amct_core.errors import FileFormatError
from amct_core.files import read_text


def value_of(path: str, key: str) -> Any:
    """Return what stands under ``key``; an empty mapping where nothing does.

    Raises:
        FileFormatError: the file is no JSON object.
        AmctError: it cannot be read.
    """
    try:
        content = parse_json(read_text(path))
    except ValueError as error:
        raise FileFormatError(
            f"it is no JSON: {error}.", file=path, remedy="Save the model again."
        ) from error
    if not isinstance(content, dict):
        raise FileFormatError(
            f"it holds {type(content).__name__}; expected an object of layer names.",
            file=path,
            remedy="Save the model again.",
        )
    nothing: Mapping[str, Any] = {}
    return content.get(key, nothing)
