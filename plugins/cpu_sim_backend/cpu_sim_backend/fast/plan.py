"""What the fast engine runs, and in which order: a network as operations on values.

:func:`make_plan` translates a deployable network one layer at a time; :mod:`.fusion` then joins
operations.  Both are pure: a plan holds no arrays but the network's own weights.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Optional, Tuple

import attrs

from amct_core.extensions.processor_family import FLOAT32
from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import Concat, DeQuant, Float16, Input, Pooling, Quant
from amct_core.graph.deployed_layers import DeployedLayer, deployed_layers
from cpu_sim_backend.feeding import Fed


@attrs.define(eq=False)
class Operation:
    """One step, of the layer ``name``: reads values, and makes values.

    Attributes:
        float16: whether those are rounded to float16, or computed in it by a Quant.
    """

    name: str
    inputs: List[Value]
    outputs: List[Value]
    float16: bool = attrs.field(default=False, kw_only=True)


@attrs.define(eq=False)
class InputOperation(Operation):
    """Takes arrays that the caller gives; ``shapes`` as the network says."""

    shapes: Tuple[Tuple[int, ...], ...]


@attrs.define(eq=False)
class FedOperation(Operation):
    """Takes what the caller gives in place of a layer's results, under ``keys``."""

    keys: Tuple[str, ...]


@attrs.define(eq=False)
class QuantizeOperation(Operation):
    """Quant: float32 to 8 bits."""

    scale: float
    offset: int


@attrs.define(eq=False)
class IntegerOperation(Operation):
    """A quantized layer, its DeQuant, and what has been fused behind it.

    The output is what DeQuant gives, or what the last fused layer makes of it; None in ``floats``
    where nobody reads it as float32.

    Attributes:
        layer: the layer with its Quant and its DeQuant.
        relu: a ReLU follows DeQuant.
        residual: a float value that is added then.
        rounds_sum: that sum is rounded to float16.
        relu_after: a ReLU follows that.
        floats: the result as float32.
        quantize: the Quant of the result.
        column: where in the rows of a concatenation its 8-bit result goes; None for rows of its
            own.
    """

    layer: DeployedLayer
    relu: bool = False
    residual: Optional[Value] = None
    rounds_sum: bool = False
    relu_after: bool = False
    floats: Optional[Value] = None
    quantize: Optional[QuantizeOperation] = None
    column: Optional[int] = None

    @property
    def as_device(self) -> bool:
        """Whether something here is not exact float32, as it is on a processor."""
        dequant = self.layer.dequant.typed(DeQuant)
        exact = dequant.gives == FLOAT32 and dequant.quant_scale == 1
        in_float16 = self.quantize is not None and self.quantize.float16
        return not exact or self.rounds_sum or in_float16


@attrs.define(eq=False)
class UnweightedOperation(Operation):
    """A quantized layer without weights, such as an AVE Pooling, and its DeQuant."""

    layer: DeployedLayer


@attrs.define(eq=False)
class MaxPoolOperation(Operation):
    """MAX pooling, of float32 or of 8-bit values: quantization keeps their order."""

    node: Node


@attrs.define(eq=False)
class AveragePoolOperation(Operation):
    """AVE pooling of float32."""

    node: Node


@attrs.define(eq=False)
class ConcatOperation(Operation):
    """Concatenation along the channels, of float32 or of 8-bit values.

    Attributes:
        channels: of the result, where each input is written right into it; None: it is copied.
    """

    channels: Optional[int] = None


@attrs.define(eq=False)
class RoundingOperation(Operation):
    """Rounding to float16."""


@attrs.define(eq=False)
class LayerOperation(Operation):
    """Any other layer, as the reference engine computes it."""

    node: Node


@attrs.define(eq=False)
class Plan:
    """Operations in execution order.

    Attributes:
        operations: the steps.
        wanted: values that must be there at the end.
        aliases: values that are other values: outputs of Split and Dropout.
    """

    operations: List[Operation]
    wanted: FrozenSet[Value]
    aliases: Dict[Value, Value]

    def resolve(self, value: Value) -> Value:
        """Return the value that ``value`` is another name of."""
        while value in self.aliases:
            value = self.aliases[value]
        return value

    def uses(self) -> Dict[Value, List[Operation]]:
        """Return who reads each value."""
        found: Dict[Value, List[Operation]] = {}
        for operation in self.operations:
            for value in operation.inputs:
                found.setdefault(value, []).append(operation)
        return found

    def producers(self) -> Dict[Value, Operation]:
        """Return who makes each value."""
        return {v: operation for operation in self.operations for v in operation.outputs}


def make_plan(graph: Graph, wanted: FrozenSet[Value]) -> Plan:
    """Return the plan of a deployable network, one operation per layer."""
    plan = Plan([], frozenset(), {})
    layers = deployed_layers(graph)
    for node in graph.nodes:
        if node.type.identity:
            plan.aliases.update(dict.fromkeys(node.outputs, node.inputs[0]))
        elif not isinstance(node.attributes, DeQuant):
            plan.operations.append(_operation(node, layers.get(node)))
    for operation in plan.operations:
        operation.inputs = [plan.resolve(value) for value in operation.inputs]
    plan.wanted = frozenset(plan.resolve(value) for value in wanted)
    return plan


def _operation(node: Node, layer: Optional[DeployedLayer]) -> Operation:
    a, name = node.attributes, node.name
    inputs, outputs = list(node.inputs), list(node.outputs)
    if isinstance(a, Input):
        return InputOperation(name, inputs, outputs, a.shapes, float16=node.float16)
    if isinstance(a, Fed):
        return FedOperation(name, inputs, outputs, a.keys)
    if isinstance(a, Quant):
        own = a.scale, a.zero_point
        return QuantizeOperation(name, inputs, outputs, *own, float16=a.float16)
    if layer is not None:
        (result,) = layer.dequant.outputs
        outputs = [layer.accumulator, result]
        if node.weights:
            return IntegerOperation(name, inputs, outputs, layer, floats=result)
        return UnweightedOperation(name, inputs, outputs, layer)
    if isinstance(a, Pooling) and a.method == "MAX" and len(node.tops) == 1:
        return MaxPoolOperation(name, inputs, outputs, node)
    if isinstance(a, Pooling) and a.method == "AVE":
        return AveragePoolOperation(name, inputs, outputs, node, float16=node.float16)
    if isinstance(a, Concat) and a.axis == 1:
        return ConcatOperation(name, inputs, outputs)
    if isinstance(a, Float16) and a.through is None:
        return RoundingOperation(name, inputs, outputs, float16=True)
    return LayerOperation(name, inputs, outputs, node, float16=node.float16)
