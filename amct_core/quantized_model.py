"""The one source of truth about a quantized network, which every backend renders.

What a backend may rely on: the integers and scales here are exactly what a deployed model
computes with.  ``quant_scale``, ``offset``, ``weights``, ``bias``, ``deq_scale`` and ``shift_n``
take part in arithmetic; :class:`Provenance` does not, because ``1 / (1 / s)`` is not ``s`` for
about one float32 value in seven.
"""

from __future__ import annotations

from typing import Any, Collection, Dict, Mapping, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ModelError
from amct_core.float_model import FloatModel
from amct_core.graph import Graph, Value
from amct_core.lowering import DequantStep, Step, lower


@attrs.frozen(eq=False)
class Provenance:
    """Where the numbers of a layer come from; kept for the record file and for people.

    Attributes:
        scale_d: float32, the activation's scale.
        scale_w: float32 ``[C]`` or ``[1]``, the weights' scale after folding; None without weights.
    """

    scale_d: np.float32
    scale_w: Optional[NDArray[np.float32]]


@attrs.frozen(eq=False)
class QuantizedLayer:
    """One layer in integers.

    The layer computes ``q = clamp(rint(x * quant_scale + offset), -128, 127)``, runs on
    ``q - offset`` with integer weights into an int32 accumulator, adds ``bias``, and gives
    ``float32(shift(accumulator, N)) * deq_scale``.

    Attributes:
        name, op: of the layer.
        input_value: the float tensor that it quantizes.
        quant_scale: float32 ``1 / scale_d``.
        offset: -128..127.
        weights: int8 in the framework's own layout; None for a type without weights.
        bias: int32, one per output channel; None if the layer has none.
        deq_scale: float32 ``[C]`` or ``[1]``.
        shift_n: uint8, as long as ``deq_scale``; all 0 (not searched) or each in 1..16.
        divisor: for a type without weights, what ``deq_scale`` has been divided by; 1 otherwise.
        input_shape: (channels, height, width) of the input as recorded in training, if known.
        provenance: scales before their reciprocals and products were rounded.
    """

    name: str
    op: str
    input_value: Value
    quant_scale: np.float32
    offset: int
    weights: Optional[NDArray[np.int8]]
    bias: Optional[NDArray[np.int32]]
    deq_scale: NDArray[np.float32]
    shift_n: NDArray[np.uint8]
    divisor: int
    input_shape: Optional[Tuple[int, int, int]]
    provenance: Provenance

    @property
    def quant_key(self) -> Tuple[Any, ...]:
        """Layers with the same key can share one Quant."""
        return (self.input_value, self.quant_scale.tobytes(), self.offset)


@attrs.frozen(eq=False)
class QuantizedModel:
    """A network with some layers in integers.

    Attributes:
        graph: the network as it is in testing, after folding; nodes carry float32 weights, nodes of
            quantized layers included (their integers are in ``layers``).
        layers: the quantized layers in network order.
        input_shapes: the shapes of network inputs that are known beside those that the graph tells,
            by blob, batch size first; they win over the graph's.
        made_from: the files of the network and of its weights, if it was read from files; a backend
            may note what they were.
        float_model: the float32 model that it was made of in the end, if known; a backend may note
            that, too.
        steps: the same with Quant and DeQuant around the quantized layers, in execution order.
    """

    graph: Graph
    layers: Tuple[QuantizedLayer, ...]
    input_shapes: Mapping[str, Tuple[int, ...]] = attrs.field(factory=dict)
    made_from: Tuple[str, ...] = ()
    float_model: Optional[FloatModel] = None
    _by_name: Dict[str, QuantizedLayer] = attrs.field(init=False, repr=False)
    steps: Tuple[Step, ...] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {layer.name: layer for layer in self.layers})
        object.__setattr__(self, "steps", lower(self))

    def layer(self, name: str) -> Optional[QuantizedLayer]:
        """Return the quantized layer called ``name``, or None if it stays in float."""
        return self._by_name.get(name)

    def check_kept(self, written: Collection[str], file: str) -> None:
        """Raise unless every quantized layer is among the layers that a backend writes.

        A layer is there if its DeQuant is: no DeQuant is without its layer, which may be in parts.

        Args:
            written: names of the layers that are about to be written to ``file``.
            file: for the message.

        Raises:
            ModelError: naming the layers that are missing.
        """
        dequants = [step for step in self.steps if isinstance(step, DequantStep)]
        lost = [step.layer.name for step in dequants if step.name not in written]
        if lost:
            raise ModelError(
                f"the model to be saved lacks quantized layers: {', '.join(map(repr, lost))}; "
                "expected every layer that was trained with quantization. Only losses and scores "
                "read what they give in the TEST phase.",
                file=file,
                remedy="Insert fake quantization again, with the network that is to be deployed "
                "in the TEST phase, or disable these layers in the config.",
            )
