"""Extension type for a layer type that can be quantized."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional, Tuple

import attrs

from amct_core.extensions.validation import callable_or_none, is_callable, plugin_name

if TYPE_CHECKING:
    from amct_core.graph import Graph, Node


@attrs.frozen
class WeightLayout:
    """How the weights (blob 0) of a layer lie in memory.

    Attributes:
        shape: the framework's own shape.
        channel_axis: the axis of ``shape`` that counts output channels.
    """

    shape: Tuple[int, ...]
    channel_axis: int

    @property
    def channels(self) -> int:
        """The number of output channels."""
        return self.shape[self.channel_axis]


def _no_bias(node: Node) -> bool:
    return len(node.weights) > 1


@attrs.frozen
class LayerQuantizer:
    """What makes a layer type quantizable.

    A quantized layer must be linear in its input with weights fixed: the integer layer is the same
    layer fed with ``q - offset`` and integer weights, and its output times ``scale_d * scale_w`` is
    the float result.

    Attributes:
        layer_type: the framework's name of the type, such as ``Convolution``.
        check: ``(node, graph) -> reason``: why this layer does not qualify, or None if it does.
        weight_layout: ``(node) -> WeightLayout`` of blob 0; None for a type without weights.
        has_bias: ``(node) -> bool``: whether blob 1 is a bias, one float per output channel.
        default_channel_wise: the default of ``channel_wise``.
        channel_wise_allowed: whether ``channel_wise: true`` is legal.
        searches_shift: whether the layer's output takes part in the search for shift N.
        divisor: for a type without weights, ``(node) -> int``: what its sums are divided by, so
            that ``deq_scale = scale_d / divisor`` (AVE pooling: the window's area).
    """

    layer_type: str = attrs.field(validator=plugin_name)
    check: Callable[[Node, Graph], Optional[str]] = attrs.field(validator=is_callable)
    weight_layout: Optional[Callable[[Node], WeightLayout]] = attrs.field(
        default=None, validator=callable_or_none
    )
    has_bias: Callable[[Node], bool] = attrs.field(default=_no_bias, validator=is_callable)
    default_channel_wise: bool = False
    channel_wise_allowed: bool = False
    searches_shift: bool = True
    divisor: Optional[Callable[[Node], int]] = attrs.field(default=None, validator=callable_or_none)

    @property
    def name(self) -> str:
        """The registry key: the layer type."""
        return self.layer_type

    @property
    def has_weights(self) -> bool:
        """Whether the type has weights to quantize."""
        return self.weight_layout is not None
