"""The integer layers once more: nested loops over Python's own integers, and nothing else.

Written from Caffe's definition of each layer and from the operators of CANN (AscendQuant,
AscendDequant, PoolingFusionPass).  Tensors are nested lists, channels before rows and columns.

float32 results are computed in double and rounded once: a sum, product or quotient of two float32
numbers rounded to double first is rounded to the same float32 (double has more than 2 * 24 + 2
bits).
"""

from __future__ import annotations

import struct
from typing import Any, List, Sequence, Tuple

import attrs

Image = List[List[List[int]]]
"""[channel][row][column]"""

Pair = Tuple[int, int]


@attrs.frozen
class Geometry:
    """Parameters of a layer with windows, (height, width) each."""

    kernel: Pair
    stride: Pair
    pad: Pair
    dilation: Pair = (1, 1)
    group: int = 1
    rounds_up: bool = True


def float32(value: float) -> float:
    """Return ``value`` rounded to the nearest float32, ties to even."""
    (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    return float(rounded)


def quantize(x: float, scale: float, offset: int) -> int:
    """Return AscendQuant's int8: product and sum rounded to float32 each, ties to even."""
    steps = float32(float32(x * scale) + offset)
    return max(-128, min(127, round(steps)))


def dequantize(accumulator: int, deq_scale: float, shift_n: int) -> float:
    """Return AscendDequant's float32; the shift rounds down and saturates at 16 bits."""
    if shift_n:
        floor = accumulator // 2**shift_n
        accumulator = max(-(2**15), min(2**15 - 1, floor)) * 2**shift_n
    return float32(float32(accumulator) * deq_scale)


def convolution(x: Image, weights: Any, bias: Sequence[int], g: Geometry) -> Image:
    """Return the convolution of ``x`` with weights [output][input / group][row][column]."""
    outputs_per_group, inputs_per_group = len(weights) // g.group, len(x) // g.group
    rows, columns = (_places(len(axis), g, i) for i, axis in enumerate((x[0], x[0][0])))
    result = []
    for output, filters in enumerate(weights):
        first = output // outputs_per_group * inputs_per_group
        plane = []
        for row in range(rows):
            line = []
            for column in range(columns):
                total = bias[output]
                for index, taps in enumerate(filters):
                    for i in range(g.kernel[0]):
                        for j in range(g.kernel[1]):
                            y = row * g.stride[0] - g.pad[0] + i * g.dilation[0]
                            z = column * g.stride[1] - g.pad[1] + j * g.dilation[1]
                            if 0 <= y < len(x[0]) and 0 <= z < len(x[0][0]):
                                total += taps[i][j] * x[first + index][y][z]
                line.append(total)
            plane.append(line)
        result.append(plane)
    return result


def _places(size: int, g: Geometry, axis: int) -> int:
    extent = g.dilation[axis] * (g.kernel[axis] - 1) + 1
    return (size + 2 * g.pad[axis] - extent) // g.stride[axis] + 1


def deconvolution(x: Image, weights: Any, bias: Sequence[int], g: Geometry) -> Image:
    """Return the transposed convolution with weights [input][output / group][row][column]."""
    per_group, inputs_per_group = len(weights[0]), len(x) // g.group
    height, width = (
        g.stride[i] * (len(axis) - 1) + g.dilation[i] * (g.kernel[i] - 1) + 1 - 2 * g.pad[i]
        for i, axis in enumerate((x[0], x[0][0]))
    )
    result = [[[b] * width for _ in range(height)] for b in bias]
    for index, plane in enumerate(x):
        first = index // inputs_per_group * per_group
        for y, line in enumerate(plane):
            for z, value in enumerate(line):
                for output, taps in enumerate(weights[index]):
                    for i in range(g.kernel[0]):
                        for j in range(g.kernel[1]):
                            row = y * g.stride[0] - g.pad[0] + i * g.dilation[0]
                            column = z * g.stride[1] - g.pad[1] + j * g.dilation[1]
                            if 0 <= row < height and 0 <= column < width:
                                result[first + output][row][column] += value * taps[i][j]
    return result


def inner_product(x: Sequence[int], weights: Any, bias: Sequence[int]) -> List[int]:
    """Return the products of ``x`` with the rows of ``weights``, [output][input]."""
    return [b + sum(w * v for w, v in zip(row, x)) for row, b in zip(weights, bias)]


def window_sums(plane: List[List[int]], g: Geometry) -> List[List[Tuple[int, int]]]:
    """Return each window's sum and the area that Caffe divides it by.

    Caffe (pooling_layer.cpp) rounds the number of windows up or down, drops a last one that would
    begin in the padding behind the input, and counts the padding that a window covers as part of
    its area.
    """
    height, width = len(plane), len(plane[0])
    result = []
    for row in range(_windows(height, g, 0)):
        top, line = row * g.stride[0] - g.pad[0], []
        bottom = min(top + g.kernel[0], height + g.pad[0])
        for column in range(_windows(width, g, 1)):
            left = column * g.stride[1] - g.pad[1]
            right = min(left + g.kernel[1], width + g.pad[1])
            total = 0
            for y in range(max(top, 0), min(bottom, height)):
                for z in range(max(left, 0), min(right, width)):
                    total += plane[y][z]
            line.append((total, (bottom - top) * (right - left)))
        result.append(line)
    return result


def _windows(size: int, g: Geometry, axis: int) -> int:
    stride, pad = g.stride[axis], g.pad[axis]
    span, count = size + 2 * pad - g.kernel[axis], 1
    while (count - 1) * stride < span if g.rounds_up else count * stride <= span:
        count += 1
    if any(g.pad) and (count - 1) * stride >= size + pad:
        count -= 1
    return count


def average(total: int, area: int, deq_scale: float, g: Geometry) -> float:
    """Return the average: the sum times deq_scale, which has 1 / (kh * kw) in it, corrected."""
    full = g.kernel[0] * g.kernel[1]
    return float32(float32(float32(total) * deq_scale) * float32(full / area))
