"""Extension type for running a layer type without its framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional, Sequence, Union

import attrs

from amct_core.errors import PluginError
from amct_core.extensions.validation import callable_or_none, plugin_name

if TYPE_CHECKING:
    from amct_core.graph import Node


@attrs.frozen
class LayerSimulator:
    """How a layer type is computed in NumPy.

    A plugin may bring one half of it, ``run`` or ``accumulate``, where another brings the other:
    whoever makes a layer type quantizable need not repeat how it is computed in float32.

    Attributes:
        layer_type: the framework's name of the type.
        run: ``(node, inputs) -> outputs``: float32 in, float32 out.
        accumulate: ``(node, centered) -> accumulator``: ``centered`` is int32 ``q - offset``,
            ``node.weights`` holds int8 weights and, if the layer has one, the int32 bias; the
            result is int64, with the bias added, and is checked against the int32 range by the
            caller.  For a quantized layer.
        exact: whether ``run`` equals the framework to the last bit, or ``(node) -> bool`` where
            that depends on the layer's parameters.
    """

    layer_type: str = attrs.field(validator=plugin_name)
    run: Optional[Callable[[Node, Sequence[Any]], Sequence[Any]]] = attrs.field(
        default=None, validator=callable_or_none
    )
    accumulate: Optional[Callable[[Node, Any], Any]] = attrs.field(
        default=None, validator=callable_or_none
    )
    exact: Union[bool, Callable[[Node], bool]] = True

    def __attrs_post_init__(self) -> None:
        if self.run is None and self.accumulate is None:
            raise PluginError(
                f"LayerSimulator '{self.layer_type}' has neither 'run' nor 'accumulate'; "
                "expected at least one."
            )

    @property
    def name(self) -> str:
        """The registry key: the layer type."""
        return self.layer_type

    def is_exact(self, node: Node) -> bool:
        """Return whether ``run`` equals the framework to the last bit for this layer."""
        return self.exact(node) if callable(self.exact) else self.exact

    def joined(self, other: LayerSimulator) -> Optional[LayerSimulator]:
        """Return the simulator that has both halves; None if a half comes from both."""
        if (self.run and other.run) or (self.accumulate and other.accumulate):
            return None
        return LayerSimulator(
            self.layer_type,
            run=self.run or other.run,
            accumulate=self.accumulate or other.accumulate,
            exact=self.exact if self.run is not None else other.exact,
        )
