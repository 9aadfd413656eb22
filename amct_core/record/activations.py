"""What a record says of the activations that a quantized layer reads."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Tuple

import attrs

from amct_core.record.model import LayerRecord, Record


def activation_factors(
    record: Record,
    layers: Sequence[str],
    scale_d: Any,
    offset_d: int,
    shape: Sequence[int],
) -> Record:
    """Return ``record`` with the factors of one quantized blob, for each layer that reads it.

    Args:
        record: the record so far.
        layers: names of the layers.
        scale_d, offset_d: of the blob.
        shape: of the blob, batch size first.
    """
    channels, height, width = input_shape(shape)
    for name in layers:
        entry = attrs.evolve(
            record.find(name) or LayerRecord(),
            scale_d=scale_d,
            offset_d=int(offset_d),
            channels=channels,
            height=height,
            width=width,
        )
        record = record.with_layer(name, entry)
    return record


def input_shape(shape: Sequence[int]) -> Tuple[int, int, int]:
    """Return (channels, height, width) of a blob of ``shape``, batch size first.

    A blob without height and width counts as 1 x 1, as in AMCT's records.
    """
    spatial: Tuple[Optional[int], ...] = tuple(shape[2:4])
    height = spatial[0] if len(spatial) > 0 and spatial[0] else 1
    width = spatial[1] if len(spatial) > 1 and spatial[1] else 1
    return int(shape[1]) if len(shape) > 1 else 1, int(height), int(width)
