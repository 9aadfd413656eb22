"""The command line of ``atc`` for a deployable model."""

from __future__ import annotations

import re
import shlex
from typing import Sequence, Tuple

import attrs

from amct_core.errors import ConfigError

FRAMEWORK_CAFFE = 0
"""Value of ``--framework`` for Caffe (hicann/ge, error E10007 lists them all)."""

OWN_OPTIONS = (
    *("--model", "--weight", "--framework", "--output", "--soc_version", "--input_shape"),
    "--op_name_map",
)
"""What this command sets itself; not accepted among the options passed through."""

_DIMENSION = r"-?\d+(?:~\d+)?"
_SHAPE = re.compile(rf"[^:;,\s]+:(?:{_DIMENSION}(?:,{_DIMENSION})*)?")


@attrs.frozen
class Conversion:
    """What ``atc`` is asked to do.

    Attributes:
        model: the prototxt.
        weights: the caffemodel.
        output: the file to make, without the ``.om`` that ``atc`` adds.
        soc_version: the processor, such as ``Ascend310P3``.
        input_shape: ``name:1,3,224,224;name:1,8``; empty: the shapes in the prototxt.
        extra: further options, passed through as they are.
        op_name_map: the file that maps layer types; empty: none.
    """

    model: str
    weights: str
    output: str
    soc_version: str
    input_shape: str = ""
    extra: Tuple[str, ...] = ()
    op_name_map: str = ""


def check(conversion: Conversion) -> None:
    """Refuse what can be seen to be wrong before ``atc`` runs.

    Raises:
        ConfigError: the shapes are not written as ``atc`` reads them, or an option is set twice.
    """
    shape = conversion.input_shape
    if shape and not all(_SHAPE.fullmatch(part) for part in shape.rstrip(";").split(";")):
        raise ConfigError(
            f"found {shape!r}; expected name:dimension,... for each input, separated by ';'.",
            field="--input-shape",
            remedy='Write it in quotes, for example "data:1,3,224,224".',
        )
    for option in conversion.extra:
        name = "--" + option.lstrip("-").split("=", 1)[0]
        if option.startswith("-") and name in OWN_OPTIONS:
            raise ConfigError(
                f"'{option}' is among the options for atc; 'amct atc' sets it itself.",
                field=name,
                remedy="Use the option of 'amct atc', or its PREFIX, in front of '--'.",
            )


def check_input_names(conversion: Conversion, inputs: Sequence[str]) -> None:
    """Refuse shapes of what is no input of the model, which ``atc`` does with E10016 or E10017.

    Args:
        conversion: whose shapes are written as ``atc`` reads them.
        inputs: the names of the model's Input layers.

    Raises:
        ConfigError: a shape names something else.
    """
    given = [part.rpartition(":")[0] for part in conversion.input_shape.split(";") if part]
    unknown = [name for name in given if name not in inputs]
    if unknown:
        raise ConfigError(
            f"'{unknown[0]}' is no input of '{conversion.model}'; expected {_listed(inputs)}.",
            field="--input-shape",
            remedy="Use the names of the Input layers.",
        )


def _listed(names: Sequence[str]) -> str:
    return " or ".join(f"'{name}'" for name in names) or "none, as it has no inputs"


def arguments(conversion: Conversion, executable: str = "atc") -> Tuple[str, ...]:
    """Return the argument list, the executable first; made to be run without a shell."""
    shape = (f"--input_shape={conversion.input_shape}",) if conversion.input_shape else ()
    name_map = (f"--op_name_map={conversion.op_name_map}",) if conversion.op_name_map else ()
    return (
        executable,
        f"--model={conversion.model}",
        f"--weight={conversion.weights}",
        f"--framework={FRAMEWORK_CAFFE}",
        f"--output={conversion.output}",
        f"--soc_version={conversion.soc_version}",
        *shape,
        *name_map,
        *conversion.extra,
    )


def as_shell(argument_list: Sequence[str]) -> str:
    """Return a line that a POSIX shell splits into exactly these arguments."""
    return " ".join(shlex.quote(argument) for argument in argument_list)
