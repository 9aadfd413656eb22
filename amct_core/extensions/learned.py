"""What an activation algorithm keeps in the snapshot beside the two clip bounds."""

from __future__ import annotations

from typing import Tuple

import attrs

from amct_core.errors import PluginError
from amct_core.extensions.validation import plugin_name


def _shape(instance: object, attribute: attrs.Attribute[Tuple[int, ...]], value: object) -> None:
    if (
        isinstance(value, tuple)
        and value
        and all(isinstance(size, int) and size > 0 for size in value)
    ):
        return
    name = getattr(instance, "name", "?")
    raise PluginError(
        f"{type(instance).__name__} '{name}': {attribute.name} is {value!r}; expected a tuple of "
        "sizes above 0."
    )


@attrs.frozen
class LearnedParameter:
    """A parameter that the solver trains; a blob of the inserted layer.

    Attributes:
        name: by which the algorithm's functions are given it, and give its gradient.
        shape: of the float32 array.
        initial: what it is filled with before training; ``initialise`` gives what follows from
            data.
        lr_mult: of its learning rate, times ``clip_lr_mult`` of the config, as for the bounds.
        decay_mult: of the weight decay; the bounds have 0.
    """

    name: str = attrs.field(validator=plugin_name)
    shape: Tuple[int, ...] = attrs.field(default=(1,), validator=_shape)
    initial: float = 0.0
    lr_mult: float = 1.0
    decay_mult: float = 0.0


@attrs.frozen
class StateVariable:
    """A value that the algorithm keeps and no solver trains, such as a running maximum.

    Attributes:
        name: by which the algorithm's functions are given it.
        shape: of the float32 array.
        initial: what it is filled with before training.
    """

    name: str = attrs.field(validator=plugin_name)
    shape: Tuple[int, ...] = attrs.field(default=(1,), validator=_shape)
    initial: float = 0.0
