"""Quantized layers, prepared to run: weights in the order in which they are multiplied.

Each takes 8-bit values to whatever :class:`.finish.Finish` asks for.
"""

from __future__ import annotations

from typing import Any, Callable, Protocol, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import WeightAxes
from amct_core.graph.attributes import Convolution, InnerProduct
from amct_core.graph.deployed_layers import DeployedLayer
from amct_core.numerics import exactness
from amct_core.numerics.windows import convolved_size, deconvolved_size
from cpu_sim_backend.execution import QuantizedTensor, accumulators
from cpu_sim_backend.fast.convolve import Window, convolve
from cpu_sim_backend.fast.depthwise import depthwise
from cpu_sim_backend.fast.finish import LONGEST_VECTOR, Finish, finish_rows, only_accumulators
from cpu_sim_backend.fast.fold import fold
from cpu_sim_backend.fast.instructions import TILE_SHAPES, Instructions
from cpu_sim_backend.fast.packing import PackedWeights, pack
from cpu_sim_backend.fast.tensor import TO_CHANNELS_LAST, Tensor, int8_of, padded, with_room

Int8Array = NDArray[np.int8]
Int32Array = NDArray[np.int32]
Shape = Tuple[int, ...]
Begin = Callable[[Shape], Finish]
_INT32 = np.iinfo(np.int32)

_SMALLEST, _LARGEST = 12, 96
"""Rows in one piece of a convolution: few enough that its input stays in the cache."""
_PIECES_PER_THREAD = 8
_ONE_POSITION = Window(1, 1, 1, 1, 0, 0, 1, 1, 1, 1)


class LayerKernel(Protocol):
    """Computes a quantized layer."""

    def __call__(self, x: Tensor, begin: Begin) -> int:
        """Write what the :class:`Finish` of ``begin`` names; return 0 if none has become NaN.

        Args:
            x: 8-bit values.
            begin: takes the shape of the output, as Caffe has it.
        """


def per_channel(values: Any, channels: int, dtype: Any) -> NDArray[Any]:
    """Return one value per channel, and so many more that whole vectors may be read."""
    result = np.zeros(channels + LONGEST_VECTOR, dtype)
    result[:channels] = values
    return result


def prepare(layer: DeployedLayer, instructions: Instructions, threads: int) -> LayerKernel:
    """Return the fastest way to compute ``layer`` that is exact.

    Args:
        layer: with int8 weights.
        instructions: to multiply with.
        threads: to work with.
    """
    a, axes, weights = layer.node.attributes, layer.node.type.weights, layer.weights
    if axes is not None and weights is not None and _fits_int32(layer, weights, axes):
        if isinstance(a, InnerProduct) and not a.transpose and a.axis == 1:
            return _InnerProduct(_product(layer, weights.T[np.newaxis], 1, instructions, threads))
        if isinstance(a, Convolution) and len(a.kernel) == 2:
            if axes.output == 1 and a.group == 1:
                return _deconvolution(layer, weights, a, instructions, threads)
            if axes.output == 0:
                if a.group == a.num_output and weights.shape[1] == 1:
                    return _depthwise(layer, weights, a, instructions)
                return _convolution(layer, weights, a, instructions, threads)
    return _AsReference(layer, instructions)


def _fits_int32(layer: DeployedLayer, weights: Int8Array, axes: WeightAxes) -> bool:
    """Return whether no input can drive an accumulator, bias included, out of int32."""
    bound = exactness.partial_sum_bound(weights, layer.offset, axes.output).astype(np.float64)
    a = layer.node.attributes
    if isinstance(a, Convolution) and axes.output == 1:
        bound = np.tile(bound, a.group)  # the groups have channels of their own
    if layer.bias is not None:
        bound = bound + np.abs(layer.bias.astype(np.float64))
    return bool(bound.max() <= _INT32.max)


def _bias(layer: DeployedLayer, channels: int) -> Int32Array:
    return per_channel(0 if layer.bias is None else layer.bias, channels, np.int32)


@attrs.frozen(eq=False)
class _Product:
    """Packed weights and all else that a convolution of them needs.

    Attributes:
        bias: int32, with what the zero point of the input makes necessary, modulo 2**32.
        padding: uint8, what padding reads.
        tile_rows: int64, rows of a tile by its vectors of columns.
    """

    instructions: Instructions
    packed: PackedWeights
    bias: Int32Array
    padding: NDArray[np.uint8]
    tile_rows: NDArray[np.int64]
    threads: int

    @property
    def outputs(self) -> int:
        return len(self.packed.zero_sums)

    def readable(self, x: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return ``x`` so that its depth may be read four bytes at a time."""
        return with_room(x) if self.packed.depth % 4 else x

    def run(self, x: NDArray[np.uint8], window: Window, f: Finish) -> int:
        """Convolve ``x``, which has room behind it if the depth is no multiple of 4."""
        rows = len(x) * window.out_height * window.out_width
        blocks, depth = self.packed.blocks, self.packed.depth
        pieces = -(-_PIECES_PER_THREAD * self.threads // len(blocks.column))
        chunk = -(-rows // (pieces * _SMALLEST)) * _SMALLEST
        return convolve(
            self.instructions,
            x,
            self.padding,
            self.packed.data,
            blocks,
            depth,
            self.tile_rows,
            window,
            self.bias,
            min(max(chunk, _SMALLEST), _LARGEST),
            f,
        )


def _product(
    layer: DeployedLayer,
    weights: Int8Array,
    groups: int,
    instructions: Instructions,
    threads: int,
    with_bias: bool = True,
) -> _Product:
    shape = TILE_SHAPES[type(instructions)]
    packed = pack(weights, groups, shape)
    stored_zero, outputs = layer.offset + 128, weights.shape[2]
    bias = _bias(layer, outputs) if with_bias else per_channel(0, outputs, np.int32)
    # In int64, cut to 32 bits: sums are modulo 2**32 anyway.
    correction = packed.zero_sums.astype(np.int64) * stored_zero
    bias[: len(correction)] = (bias[: len(correction)] - correction).astype(np.int32)
    tile_rows = np.zeros(shape.widest + 1, np.int64)
    for vectors, rows in shape.rows.items():
        tile_rows[vectors] = rows
    padding = np.full(packed.depth + 4, stored_zero, np.uint8)
    return _Product(instructions, packed, bias, padding, tile_rows, threads)


@attrs.frozen(eq=False)
class _InnerProduct:
    product: _Product

    def __call__(self, x: Tensor, begin: Begin) -> int:
        rows = x.channels_first()
        f = begin((len(rows), self.product.outputs))
        rows = self.product.readable(rows.reshape(len(rows), 1, 1, -1))
        return self.product.run(rows, _ONE_POSITION, f)


def _window(a: Convolution, height: int, width: int) -> Window:
    """Return the window of a convolution on an input of this size."""
    out = map(convolved_size, (height, width), a.kernel, a.stride, a.pad, a.dilation)
    return Window(*a.kernel, *a.stride, *a.pad, *a.dilation, *out)


@attrs.frozen(eq=False)
class _Convolution:
    a: Convolution
    product: _Product

    def __call__(self, x: Tensor, begin: Begin) -> int:
        last = x.channels_last()
        window = _window(self.a, *last.shape[1:3])
        f = begin((len(last), self.product.outputs, window.out_height, window.out_width))
        return self.product.run(self.product.readable(last), window, f)


@attrs.frozen(eq=False)
class _ShallowConvolution:
    """A convolution of few channels, such as a network's first.

    The values that a line of the kernel reads lie next to each other, so a line is one tap, as deep
    as it is wide; for that the padding must be there.
    """

    a: Convolution
    product: _Product
    zero: int

    def __call__(self, x: Tensor, begin: Begin) -> int:
        a = self.a
        window = _window(a, *x.shape[2:])
        lines = window._replace(kernel_width=1, pad_y=0, pad_x=0)
        f = begin((x.shape[0], self.product.outputs, window.out_height, window.out_width))
        return self.product.run(padded(x, a.pad, self.zero + 128), lines, f)


_SHALLOW = 8
"""Up to so many channels, taps of whole lines are worth a copy of the input."""


def _convolution(
    layer: DeployedLayer,
    weights: Int8Array,
    a: Convolution,
    instructions: Instructions,
    threads: int,
) -> LayerKernel:
    # (outputs, depth, kh, kw) becomes (taps, depth, outputs).
    outputs, depth, height, _ = weights.shape
    weights = weights.transpose(2, 3, 1, 0)
    if depth <= _SHALLOW and a.group == 1 and a.dilation[1] == 1 and a.kernel[1] > 1:
        lines = weights.reshape(height, -1, outputs)
        product = _product(layer, lines, 1, instructions, threads)
        return _ShallowConvolution(a, product, layer.offset)
    weights = weights.reshape(-1, depth, outputs)
    return _Convolution(a, _product(layer, weights, a.group, instructions, threads))


@attrs.frozen(eq=False)
class _Depthwise:
    a: Convolution
    weights: NDArray[np.int16]
    bias: Int32Array
    zero: int
    instructions: Instructions

    def __call__(self, x: Tensor, begin: Begin) -> int:
        last = x.channels_last()
        zero, window = np.int16(self.zero + 128), _window(self.a, *last.shape[1:3])
        f = begin((len(last), last.shape[3], window.out_height, window.out_width))
        return depthwise(self.instructions, last, zero, self.weights, window, self.bias, f)


def _depthwise(
    layer: DeployedLayer, weights: Int8Array, a: Convolution, instructions: Instructions
) -> LayerKernel:
    taps = np.ascontiguousarray(weights[:, 0].transpose(1, 2, 0), np.int16)
    return _Depthwise(a, taps, _bias(layer, a.num_output), layer.offset, instructions)


@attrs.frozen(eq=False)
class _Deconvolution:
    a: Convolution
    product: _Product
    bias: Int32Array

    def __call__(self, x: Tensor, begin: Begin) -> int:
        last = x.channels_last()
        batch, height, width, channels = last.shape
        a, instructions = self.a, self.product.instructions
        out = tuple(map(deconvolved_size, (height, width), a.kernel, a.stride, a.pad, a.dilation))
        taps = np.empty((batch * height * width, self.product.outputs), np.int32)
        pixels = self.product.readable(last.reshape(-1, 1, 1, channels))
        self.product.run(pixels, _ONE_POSITION, only_accumulators(taps))
        rows = np.zeros((batch, *out, a.num_output), np.int32)
        window = Window(*a.kernel, *a.stride, *a.pad, *a.dilation, *out)
        fold(taps.reshape(batch, height, width, -1), window, rows)
        f = begin((batch, a.num_output, *out))
        return finish_rows(instructions, rows.reshape(-1, a.num_output), self.bias, f)


def _deconvolution(
    layer: DeployedLayer,
    weights: Int8Array,
    a: Convolution,
    instructions: Instructions,
    threads: int,
) -> LayerKernel:
    # (channels, outputs, kh, kw) becomes (1, channels, kh * kw * outputs).
    weights = weights.transpose(TO_CHANNELS_LAST).reshape(1, len(weights), -1)
    product = _product(layer, weights, 1, instructions, threads, with_bias=False)
    return _Deconvolution(a, product, _bias(layer, a.num_output))


@attrs.frozen(eq=False)
class _AsReference:
    """The layer as the reference engine computes it; sums that do not fit int32 are an error."""

    layer: DeployedLayer
    instructions: Instructions

    def __call__(self, x: Tensor, begin: Begin) -> int:
        accumulators = accumulate(self.layer, x)
        rows = Tensor(first=accumulators).rows()
        no_bias = per_channel(0, rows.shape[1], np.int32)  # it is in there already
        return finish_rows(self.instructions, rows, no_bias, begin(accumulators.shape))


def accumulate(layer: DeployedLayer, x: Tensor) -> Int32Array:
    """Return a layer's accumulators with their bias, as the reference engine computes them.

    Args:
        layer: which one.
        x: 8-bit values.

    Raises:
        QuantizationError: one does not fit int32.
    """
    tensor = QuantizedTensor(int8_of(x.channels_first()), layer.offset)
    return accumulators(layer.node, tensor)
