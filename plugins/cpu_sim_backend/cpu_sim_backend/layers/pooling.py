"""Pooling as Caffe computes it: windows clipped at the border, sums in row order.

Source: BVLC Caffe, pooling_layer.cpp.
"""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ModelError
from amct_core.extensions import LayerSimulator
from amct_core.graph import Node
from amct_core.graph.attributes import Pooling
from amct_core.numerics import pooling as numerics

Array = NDArray[Any]


@attrs.frozen
class _Windows:
    """Where the windows of one axis begin and end in the unpadded input."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, size: int, kernel: int, stride: int, pad: int, count: int) -> _Windows:
        starts = np.arange(count, dtype=np.int64) * stride - pad
        ends = np.minimum(starts + kernel, size + pad)
        return cls(np.maximum(starts, 0), np.minimum(ends, size))


def _geometry(node: Node, x: Array) -> Tuple[Pooling, Tuple[int, int], _Windows, _Windows]:
    a = node.attributes
    assert isinstance(a, Pooling)
    height, width = x.shape[2:]
    kernel = (height, width) if a.kernel is None else a.kernel
    out = numerics.output_size(height, width, kernel, a.stride, a.pad, a.ceil_mode)
    rows = _Windows.of(height, kernel[0], a.stride[0], a.pad[0], out[0])
    columns = _Windows.of(width, kernel[1], a.stride[1], a.pad[1], out[1])
    return a, kernel, rows, columns


def run(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the maximum or the average of each window, in float32."""
    x = inputs[0]
    a, kernel, rows, columns = _geometry(node, x)
    if len(node.tops) > 1:
        raise ModelError(
            "its second output, the places of the maxima, cannot be simulated.",
            layer=node.name,
            field="top",
            remedy="Remove the second top, or simulate the network in parts.",
        )
    if a.method == "MAX":
        # In Caffe NaN is never larger, which fmax has in common with it.
        return [_reduce(x, rows, columns, np.fmax, np.float32(-np.finfo(np.float32).max))]
    if a.method != "AVE":
        raise ModelError(f"{a.method} pooling cannot be simulated.", layer=node.name)
    sums = _reduce(x, rows, columns, np.add, np.float32(0))
    height, width = x.shape[2:]
    areas = numerics.window_areas(height, width, kernel, a.stride, a.pad, a.ceil_mode)
    return [sums / areas.astype(np.float32)]


def _reduce(x: Array, rows: _Windows, columns: _Windows, combine: Any, first: Any) -> Array:
    """Combine the values of each window one after the other: row by row, left to right."""
    shape = (*x.shape[:2], len(rows.starts), len(columns.starts))
    result = np.full(shape, first, x.dtype)
    tall = int((rows.ends - rows.starts).max())
    wide = int((columns.ends - columns.starts).max())
    for down in range(tall):
        row = rows.starts + down
        has_row = row < rows.ends
        for right in range(wide):
            column = columns.starts + right
            has_column = column < columns.ends
            values = x[:, :, row[has_row]][:, :, :, column[has_column]]
            row_index, column_index = np.ix_(has_row, has_column)
            target = (slice(None), slice(None), row_index, column_index)
            result[target] = combine(result[target], values)
    return result


def accumulate(node: Node, centered: Array) -> Array:
    """Return the integer sum of each window of a quantized AVE Pooling."""
    _, _, rows, columns = _geometry(node, centered)
    return _reduce(centered.astype(np.int64), rows, columns, np.add, np.int64(0))


SIMULATORS = (LayerSimulator(layer_type="Pooling", run=run, accumulate=accumulate),)
