"""Joins operations of a plan, without changing a bit of any value that is wanted.

1. A Quant moves up through MAX pooling and concatenation along the channels: it acts on each value
   alone and keeps their order, so both give the same integers behind it as before it.
2. A quantized layer takes over what follows it, where nobody else reads it: a ReLU, a residual sum
   whose other side is there already, a ReLU behind that, and the Quant of the result.
3. Layers whose 8-bit results are only concatenated write right into the concatenation.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

import attrs

from amct_core.graph import Value
from amct_core.graph.attributes import Convolution, Eltwise, ReLU
from cpu_sim_backend.fast.plan import (
    ConcatOperation,
    IntegerOperation,
    LayerOperation,
    MaxPoolOperation,
    Operation,
    Plan,
    QuantizeOperation,
)


def fuse(plan: Plan) -> None:
    """Apply all rules."""
    while _move_one_quant_up(plan):
        pass
    for operation in list(plan.operations):
        if isinstance(operation, IntegerOperation):
            _take_over_followers(plan, operation)
    for operation in plan.operations:
        if isinstance(operation, ConcatOperation):
            _write_into(plan, operation)


def _move_one_quant_up(plan: Plan) -> bool:
    producers, uses = plan.producers(), plan.uses()
    for quantize in plan.operations:
        if not isinstance(quantize, QuantizeOperation):
            continue
        (value,) = quantize.inputs
        producer = producers.get(value)
        if not isinstance(producer, (MaxPoolOperation, ConcatOperation)):
            continue
        if value in plan.wanted or len(uses[value]) > 1:
            continue
        _swap(plan, producer, quantize, uses)
        return True
    return False


def _swap(
    plan: Plan,
    producer: Operation,
    quantize: QuantizeOperation,
    uses: Dict[Value, List[Operation]],
) -> None:
    moved: List[Operation] = []
    inputs = []
    for value in producer.inputs:
        quantized = _same_quant(uses[value], quantize) or _same_quant(moved, quantize, value)
        if quantized is None:
            moved_value = Value(
                f"{value.name} quantized by {quantize.outputs[0].name}", value.version
            )
            quantized = attrs.evolve(quantize, inputs=[value], outputs=[moved_value])
            moved.append(quantized)
        inputs.append(quantized.outputs[0])
    producer.inputs = inputs
    producer.outputs = list(quantize.outputs)
    plan.operations.remove(quantize)
    # A Quant that was there already may stand behind the producer.
    at = plan.operations.index(producer)
    plan.operations[at:at] = moved
    for value in inputs:
        _move_before(plan, value, producer)


def _same_quant(
    operations: List[Operation], wanted: QuantizeOperation, value: Optional[Value] = None
) -> Optional[QuantizeOperation]:
    for operation in operations:
        if (
            isinstance(operation, QuantizeOperation)
            and _numbers(operation) == _numbers(wanted)
            and (value is None or operation.inputs == [value])
        ):
            return operation
    return None


def _numbers(quantize: QuantizeOperation) -> Tuple[float, int, bool]:
    return quantize.scale, quantize.offset, quantize.float16


def _move_before(plan: Plan, value: Value, reader: Operation) -> None:
    producer = plan.producers()[value]
    if plan.operations.index(producer) > plan.operations.index(reader):
        plan.operations.remove(producer)
        plan.operations.insert(plan.operations.index(reader), producer)


def _take_over_followers(plan: Plan, operation: IntegerOperation) -> None:
    while True:
        uses = plan.uses()
        assert operation.floats is not None
        readers = uses.get(operation.floats, [])
        if operation.floats in plan.wanted or len(readers) != 1:
            break
        if not _take_over(plan, operation, readers[0]):
            break
    readers = plan.uses().get(operation.floats, [])
    quantizers = [reader for reader in readers if isinstance(reader, QuantizeOperation)]
    if quantizers:
        operation.quantize = quantizers[0]
        operation.outputs.append(quantizers[0].outputs[0])
        plan.operations.remove(quantizers[0])
        if len(readers) == 1 and operation.floats not in plan.wanted:
            operation.outputs.remove(operation.floats)
            operation.floats = None


def _take_over(plan: Plan, operation: IntegerOperation, follower: Operation) -> bool:
    """Fuse ``follower``, the only reader of the result, if it can be; return whether it was."""
    if not isinstance(follower, LayerOperation):
        return False
    a = follower.node.attributes
    if isinstance(a, ReLU) and a.negative_slope == 0:
        if operation.residual is None and not operation.relu:
            operation.relu = True
        elif operation.residual is not None and not operation.relu_after:
            operation.relu_after = True
        else:
            return False
    elif isinstance(a, Eltwise) and operation.residual is None:
        other = _other_term(plan, operation, follower, a)
        if other is None:
            return False
        operation.residual = other
        operation.rounds_sum = follower.float16
        operation.inputs.append(other)
    else:
        return False
    plan.operations.remove(follower)
    assert operation.floats is not None
    operation.outputs[operation.outputs.index(operation.floats)] = follower.outputs[0]
    operation.floats = follower.outputs[0]
    return True


def _other_term(
    plan: Plan, operation: IntegerOperation, follower: LayerOperation, a: Eltwise
) -> Optional[Value]:
    """Return the other side of a plain sum of two, if it is there when ``operation`` runs."""
    if a.operation != "SUM" or a.coefficients or len(follower.inputs) != 2:
        return None
    others = [value for value in follower.inputs if value != operation.floats]
    if len(others) != 1:
        return None
    producer = plan.producers().get(others[0])
    if producer is None:
        return None
    earlier = plan.operations.index(producer) < plan.operations.index(operation)
    return others[0] if earlier else None


def _write_into(plan: Plan, concat: ConcatOperation) -> None:
    producers, uses = plan.producers(), plan.uses()
    sources: List[IntegerOperation] = []
    for value in concat.inputs:
        producer = producers.get(value)
        alone = len(uses[value]) == 1 and value not in plan.wanted
        if not (alone and isinstance(producer, IntegerOperation) and producer.column is None):
            return
        if producer.quantize is None or producer.quantize.outputs[0] != value:
            return
        if not isinstance(producer.layer.node.attributes, Convolution):
            return
        sources.append(producer)
    if len({id(source) for source in sources}) != len(sources):
        return
    column = 0
    for source in sources:
        source.column = column
        column += source.layer.node.typed(Convolution).num_output
    concat.channels = column
