"""Extension type for running a layer type without its framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional, Protocol, Sequence, Tuple, Union

import attrs

from amct_core.errors import PluginError
from amct_core.extensions.validation import callable_or_none, plugin_name

if TYPE_CHECKING:
    from amct_core.graph import Node, Value

_PARTS = ("run", "accumulate", "onnx", "onnx_accumulate")


class OnnxWriter(Protocol):
    """What the ONNX form of a layer is written into."""

    def add(
        self, operator: str, inputs: Sequence[str], output: Optional[str] = None, **attributes: Any
    ) -> str:
        """Add a node of a standard operator with one output; return the output's name."""

    def constant(self, array: Any, dtype: Any) -> str:
        """Add a constant tensor; return its name."""

    def shape(self, node: Node, value: Value) -> Tuple[int, ...]:
        """Return the shape of an input or output of ``node``, batch size first."""


@attrs.frozen
class LayerSimulator:
    """How a layer type is computed in NumPy.

    A plugin may bring some of its parts, ``run`` or ``accumulate``, where another brings others:
    whoever makes a layer type quantizable need not repeat how it is computed in float32.

    Attributes:
        layer_type: the framework's name of the type.
        run: ``(node, inputs) -> outputs``: float32 in, float32 out.
        accumulate: ``(node, centered) -> accumulator``: ``centered`` is int32 ``q - offset``,
            ``node.weights`` holds int8 weights and, if the layer has one, the int32 bias; the
            result is int64, with the bias added, and is checked against the int32 range by the
            caller.  For a quantized layer.
        onnx: ``(writer, node, inputs, outputs)``: writes the float layer in standard ONNX
            operators; ``inputs`` and ``outputs`` are the names of its float32 tensors.
        onnx_accumulate: ``(writer, node, q, offset) -> name`` of the accumulators, int32 with the
            bias added; ``q`` is the name of the input, uint8 ``q + 128``.  For a quantized layer.
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
    onnx: Optional[Callable[[OnnxWriter, Node, Sequence[str], Sequence[str]], None]] = attrs.field(
        default=None, validator=callable_or_none
    )
    onnx_accumulate: Optional[Callable[[OnnxWriter, Node, str, int], str]] = attrs.field(
        default=None, validator=callable_or_none
    )

    def __attrs_post_init__(self) -> None:
        if not any(getattr(self, part) for part in _PARTS):
            raise PluginError(
                f"LayerSimulator '{self.layer_type}' has none of {', '.join(_PARTS)}; expected at "
                "least one."
            )

    @property
    def name(self) -> str:
        """The registry key: the layer type."""
        return self.layer_type

    def is_exact(self, node: Node) -> bool:
        """Return whether ``run`` equals the framework to the last bit for this layer."""
        return self.exact(node) if callable(self.exact) else self.exact

    def joined(self, other: LayerSimulator) -> Optional[LayerSimulator]:
        """Return the simulator that has the parts of both; None if one comes from both."""
        if any(getattr(self, part) and getattr(other, part) for part in _PARTS):
            return None
        parts = {part: getattr(self, part) or getattr(other, part) for part in _PARTS}
        exact = self.exact if self.run is not None else other.exact
        return LayerSimulator(self.layer_type, exact=exact, **parts)
