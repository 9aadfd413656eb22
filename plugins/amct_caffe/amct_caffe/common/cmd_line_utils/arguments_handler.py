"""The values of ``--input_shape``, ``--data_dir`` and ``--data_types``.  Pure: text in, values out.

Inputs of the network are separated by ``;``; the three options name them in the same order.  Names
of the functions, and what their errors begin with, are those of AMCT's shared package.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

from amct_core.errors import ConfigError, ConfigTypeError

DATA_TYPES: Tuple[str, ...] = (
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
)
"""Element types that a file of data may have, by their names in NumPy."""


def process_data_shape(input_shape: str) -> Dict[str, List[int]]:
    """Return the shapes that ``name:n,c,h,w;name2:...`` gives, by input.

    A name ends at the last ``:``, so it may hold others.

    Raises:
        ConfigError: (a ``ValueError``) a part has no name or no shape, or an input comes twice.
    """
    shapes: Dict[str, List[int]] = {}
    for part in _parts(input_shape):
        name, _, text = part.rpartition(":")
        sizes = [size.strip() for size in text.split(",")]
        name = name.strip()
        if not name or not all(size.isascii() and size.isdigit() and int(size) for size in sizes):
            raise ConfigError(
                "Invalid input_shape. Input name and shapes of each input node should be ':' "
                f"split. Found '{part}'; expected a name and sizes above 0.",
                field="input_shape",
                remedy="Write for example 'data:1,3,224,224'.",
            )
        if name in shapes:
            raise ConfigError(
                f"Invalid input_shape. Input '{name}' is given twice.", field="input_shape"
            )
        shapes[name] = [int(size) for size in sizes]
    if not shapes:
        raise ConfigError(
            "Invalid input_shape. It is empty.",
            field="input_shape",
            remedy="Write for example 'data:1,3,224,224'.",
        )
    return shapes


def process_multi_data_path(data_dir: str) -> List[str]:
    """Return the folders that ``d1;d2`` names, in order.

    Raises:
        ConfigError: there is none.
    """
    paths = _parts(data_dir)
    if not paths:
        raise ConfigError("it names no folder.", field="data_dir")
    return paths


def process_data_types(data_types: str) -> List[str]:
    """Return the element types that ``float32;uint8`` names, in order.

    Raises:
        ConfigTypeError: (a ``TypeError``) one is not in :data:`DATA_TYPES`.
    """
    types = _parts(data_types)
    for each in types:
        check_data_type(each)
    return types


def check_data_type(name: str) -> None:
    """Raise a ConfigTypeError if ``name`` is not in :data:`DATA_TYPES`."""
    if name not in DATA_TYPES:
        raise ConfigTypeError(
            f"Unsupported data type[{name}]! Expected one of {', '.join(DATA_TYPES)}.",
            field="data_types",
        )


def check_one_each(inputs: Sequence[str], data_paths: Sequence[str], types: Sequence[str]) -> None:
    """Raise a ConfigError if there is not one folder and one element type for each input."""
    for field, found in (("data_dir", data_paths), ("data_types", types)):
        if len(found) != len(inputs):
            raise ConfigError(
                f"it gives {len(found)} ({'; '.join(found)}); expected one for each of the "
                f"{len(inputs)} inputs in input_shape ({', '.join(inputs)}).",
                field=field,
                remedy="Separate them by ';', in the order of input_shape.",
            )


def _parts(text: str) -> List[str]:
    return [part.strip() for part in text.split(";") if part.strip()]
