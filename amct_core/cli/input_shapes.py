"""The option ``--input-shape`` of the commands that need shapes of network inputs."""

from __future__ import annotations

from typing import Any, Dict, Sequence, Tuple

import click


def _parsed(
    context: click.Context, option: click.Parameter, texts: Sequence[str]
) -> Dict[str, Tuple[int, ...]]:
    from amct_core.errors import ConfigError
    from amct_core.input_shapes import parse

    try:
        return parse(texts)
    except ConfigError as error:
        raise click.BadParameter(f"{error.problem} {error.remedy}") from error


def input_shape_option(function: Any) -> Any:
    """Add ``--input-shape``; the command gets ``input_shapes``, shapes by blob."""
    return click.option(
        "--input-shape",
        "input_shapes",
        multiple=True,
        metavar="NAME:DIMS",
        callback=_parsed,
        help="Shape of a network input, batch size first, such as data:1,3,224,224; may be "
        "repeated. By default it follows from the data layer, or training records it.",
    )(function)
