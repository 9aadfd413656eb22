"""Extension type for a rewriting of networks on the way through training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, ClassVar

import attrs

from amct_core.errors import PluginError
from amct_core.extensions.provided import Provided
from amct_core.extensions.validation import is_callable, plugin_name

if TYPE_CHECKING:
    from amct_core.graph import Pass

BEFORE_INSERTION = "before insertion"
"""Before fake quantization is inserted: training and both saved models have what it changes."""

AFTER_TRAINING = "after training"
"""When the trained model is saved, fake quantization just removed: both saved models have it."""


def _is_place(instance: object, attribute: attrs.Attribute[str], value: object) -> None:
    if value not in (BEFORE_INSERTION, AFTER_TRAINING):
        name = getattr(instance, "name", "?")
        raise PluginError(
            f"NetworkPass '{name}': place is {value!r}; expected '{BEFORE_INSERTION}' or "
            f"'{AFTER_TRAINING}'."
        )


@attrs.frozen
class NetworkPass(Provided):
    """A rewriting that a frontend runs on its networks in quantization-aware training.

    Post-training quantization does not run it, and warns of that.
    It must keep the names of the layers that are quantized.

    Attributes:
        name: for the log and for messages; passes of one place run in the order of their names.
        frontend: the frontend whose networks it rewrites, such as ``caffe``; those of others never
            reach it.
        place: :data:`~amct_core.extensions.network_pass.BEFORE_INSERTION` or
            :data:`~amct_core.extensions.network_pass.AFTER_TRAINING`.
        create: ``() -> Pass``: the rewriting; its state is the frontend's own network, for Caffe
            :class:`amct_caffe.model.network.CaffeNetwork`.
    """

    kind: ClassVar[str] = "pass"
    is_chosen: ClassVar[bool] = False

    name: str = attrs.field(validator=plugin_name)
    frontend: str = attrs.field(validator=plugin_name)
    place: str = attrs.field(validator=_is_place)
    create: Callable[[], Pass[Any]] = attrs.field(validator=is_callable)
