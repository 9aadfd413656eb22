"""Which part of a plan runs on few samples at a time, so that its tensors stay in the cache.

What does not change a bit when samples are computed alone may run so: layers in integers, pooling,
and what acts on single values.  The first operation of another kind ends it: a Reshape may mix
samples, and the sums of a float InnerProduct depend on the size of the batch.  So does a quantized
InnerProduct, whose weights are larger than what it reads and writes, and a layer that is fed, as
what the first axis of its results counts is not known.
"""

from __future__ import annotations

from amct_core.graph.attributes import InnerProduct
from cpu_sim_backend.fast.plan import (
    AveragePoolOperation,
    ConcatOperation,
    InputOperation,
    IntegerOperation,
    LayerOperation,
    MaxPoolOperation,
    Operation,
    Plan,
    QuantizeOperation,
    RoundingOperation,
    UnweightedOperation,
)

_CACHE = 4 * 2**20
"""Bytes that the largest tensor may take: part of a last-level cache, as several are alive."""

_ANY_LAYER = (
    AveragePoolOperation,
    ConcatOperation,
    InputOperation,
    MaxPoolOperation,
    UnweightedOperation,
    QuantizeOperation,
    RoundingOperation,
)


def operations_by_sample(plan: Plan) -> int:
    """Return how many operations at the beginning of ``plan`` may run sample by sample."""
    for index, operation in enumerate(plan.operations):
        if not _is_by_sample(operation):
            return index
    return len(plan.operations)


def samples_at_once(largest: int) -> int:
    """Return how many samples to run at once if one has a largest tensor of so many bytes."""
    return max(1, _CACHE // max(1, largest))


def _is_by_sample(operation: Operation) -> bool:
    if isinstance(operation, IntegerOperation):
        return not isinstance(operation.layer.node.attributes, InnerProduct)
    if isinstance(operation, LayerOperation):
        return operation.node.type.by_sample
    return isinstance(operation, _ANY_LAYER)
