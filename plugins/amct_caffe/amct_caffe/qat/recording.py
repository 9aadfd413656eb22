"""What the QAT layers write into the record file, and when.

Every change is one atomic read-modify-write of the file (:mod:`amct_core.record`); layers of a
network run one after the other, so no two of them write at once.
"""

from __future__ import annotations

from typing import Any, Optional, Sequence

import attrs

from amct_caffe.qat.parameters import WeightParameters
from amct_core import record as records
from amct_core.errors import TrainingError
from amct_core.record import LayerRecord, Record
from amct_core.record.activations import activation_factors, input_shape

MOST_AXES = 3
"""How many axes a sample may have whose shape :func:`sample_shape` records."""


def weight_factors(record: Record, layer: str, scale_w: Any) -> Record:
    """Return ``record`` with the weight scales of ``layer``."""
    entry = attrs.evolve(
        record.find(layer) or LayerRecord(),
        scale_w=tuple(scale_w),
        offset_w=(0,) * len(scale_w),
    )
    return record.with_layer(layer, entry)


def require_fitting_bias(record: Record, parameters: WeightParameters) -> None:
    """Raise if the bias of a layer will not fit int32 with the scale of its input just recorded.

    Raises:
        TrainingError: naming the layer, the channel, and after how many forwards.
    """
    entry = record.find(parameters.layer)
    smallest = parameters.smallest_scale_d
    if smallest is None or entry is None or entry.scale_d is None or entry.scale_d >= smallest:
        return
    raise TrainingError(
        f"after {parameters.batch_num} TRAIN forwards the scale of its input is "
        f"{entry.scale_d:.9g}; the bias of channel {parameters.bias_channel} fits int32 only from "
        f"{smallest:.9g} on, so the layer could not be saved.",
        layer=parameters.layer,
        remedy="Leave the layer unquantized (retrain_enable: false) and insert again: its input or "
        "weights are very small compared with its bias.",
    )


def shift_factors(
    record: Record, layer: str, scale_d: Any, offset_d: int, scale_w: Any, shift_n: Any
) -> Record:
    """Return ``record`` with N of ``layer``, together with the factors it was searched at."""
    record = weight_factors(record, layer, scale_w)
    entry = attrs.evolve(
        record.get(layer),
        scale_d=scale_d,
        offset_d=int(offset_d),
        shift_bit=tuple(int(n) for n in shift_n),
    )
    return record.with_layer(layer, entry)


def sample_shape(
    record: Record, entries: Sequence[str], shape: Optional[Sequence[int]], replaces: bool
) -> Record:
    """Return ``record`` with the shape of one sample of a network input.

    Unlike :func:`input_shape` it says how many axes there are.

    Args:
        record: the record so far.
        entries: names of the entries that hold it.
        shape: without the batch size, at most :data:`MOST_AXES` sizes; None: it is not held.
        replaces: whether a shape that is there already gives way.
    """
    for name in entries:
        found = record.find(name) or LayerRecord()
        if found.sample_shape is None or replaces:
            record = record.with_layer(name, found.with_sample_shape(shape))
    return record


__all__ = [
    "MOST_AXES",
    "activation_factors",
    "input_shape",
    "records",
    "require_fitting_bias",
    "sample_shape",
    "shift_factors",
    "weight_factors",
]
