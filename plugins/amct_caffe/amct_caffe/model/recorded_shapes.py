"""Shapes of inputs that a deployable model in AMCT's layout was saved with.

A data layer need not tell the shape of its data: training has recorded it, or the user has given
it.  It is kept in ``<save_path>_quant.json``, under the key ``input_shapes`` (ours).
"""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, Optional

from amct_caffe.model.quant_json import value_of
from amct_core.errors import FileFormatError
from amct_core.extensions.layer_type import Shape
from amct_core.file_names import name_map_beside

KEY = "input_shapes"


def recorded_shapes(model_file: Optional[str]) -> Dict[str, Shape]:
    """Return the shapes by input blob, batch size first, as far as the file beside tells them.

    Args:
        model_file: the prototxt of the deployable model.

    Raises:
        FileFormatError: the file beside holds something else.
    """
    path = name_map_beside(model_file) if model_file is not None else None
    if path is None or not os.path.isfile(path):
        return {}
    found = value_of(path, KEY)
    if not isinstance(found, dict) or not all(map(_is_shape, found.values())):
        raise FileFormatError(
            f"it is {found!r}; expected lists of sizes by input blob, batch size first.",
            file=path,
            field=KEY,
            remedy="Save the model again.",
        )
    return {blob: tuple(shape) for blob, shape in found.items()}


def as_json(shapes: Mapping[str, Shape]) -> Dict[str, Any]:
    """Return what the file holds for ``shapes``, to be merged into it."""
    return {KEY: {blob: list(shape) for blob, shape in shapes.items()}} if shapes else {}


def _is_shape(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(size, int) and size > 0 for size in value)
