"""The accumulators of one quantized layer: from 8-bit values to int32 rows.

Each class holds what can be prepared once: weights in the order in which they are multiplied.  All
return int32 ``[rows, channels]`` without the bias, rows in the order of the output positions.
"""

from __future__ import annotations

from typing import Any, List, Protocol, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import LayerSimulator
from amct_core.graph import Node
from amct_core.graph.attributes import Convolution, InnerProduct
from amct_core.numerics import exactness
from cpu_sim_backend.execution import as_int32
from cpu_sim_backend.fast import kernels
from cpu_sim_backend.fast.matmul import IntegerProduct
from cpu_sim_backend.fast.tensor import TO_CHANNELS_LAST, Tensor, int8_of

Int32Array = NDArray[np.int32]
Shape = Tuple[int, ...]
_INT32 = np.iinfo(np.int32)


class Accumulator(Protocol):
    """A quantized layer, ready to run."""

    def __call__(self, x: Tensor) -> Tuple[Int32Array, Shape]:
        """Return the accumulators as rows, and the shape of the output as Caffe has it."""


def prepare(node: Node, zero: int, simulator: LayerSimulator, threads: int) -> Accumulator:
    """Return the fastest way to compute ``node`` that is exact.

    Args:
        node: with int8 weights.
        zero: the offset of its input.
        simulator: how the reference engine computes it, for what has no way of its own here.
        threads: of the products.
    """
    a = node.attributes
    if not node.weights or not _fits_int32(node, zero):
        return ReferenceAccumulator(node, zero, simulator)
    if isinstance(a, InnerProduct) and not a.transpose and a.axis == 1:
        return _InnerProduct(_product(node.weights[0].T, zero, threads))
    if isinstance(a, Convolution) and len(a.kernel) == 2:
        if node.op == "Deconvolution" and a.group == 1:
            return _deconvolution(node, a, zero, threads)
        if node.op == "Convolution":
            depthwise = a.group == a.num_output and node.weights[0].shape[1] == 1
            return (_depthwise if depthwise else _convolution)(node, a, zero, threads)
    return ReferenceAccumulator(node, zero, simulator)


def _fits_int32(node: Node, zero: int) -> bool:
    """Return whether no input can drive an accumulator, bias included, out of int32."""
    axis = 1 if node.op == "Deconvolution" else 0
    bound = exactness.partial_sum_bound(node.weights[0], zero, axis).astype(np.float64)
    if node.op == "Deconvolution":
        assert isinstance(node.attributes, Convolution)
        bound = np.tile(bound, node.attributes.group)  # the groups have channels of their own
    if len(node.weights) > 1:
        bound = bound + np.abs(node.weights[1].astype(np.float64))
    return bool(bound.max() <= _INT32.max)


def _product(weights: NDArray[Any], zero: int, threads: int) -> IntegerProduct:
    return IntegerProduct.of(np.ascontiguousarray(weights, np.int8), zero + 128, threads)


@attrs.frozen(eq=False)
class _InnerProduct:
    product: IntegerProduct

    def __call__(self, x: Tensor) -> Tuple[Int32Array, Shape]:
        rows = x.channels_first()
        result = self.product(rows.reshape(len(rows), -1))
        return result, result.shape


@attrs.frozen(eq=False)
class _Geometry:
    """Sizes of a convolution, as the kernels take them, once the input's size is known."""

    a: Convolution

    def of(self, height: int, width: int) -> Tuple[int, ...]:
        a = self.a
        out = (
            (size + 2 * pad - (dilation * (kernel - 1) + 1)) // stride + 1
            for size, kernel, stride, pad, dilation in zip(
                (height, width), a.kernel, a.stride, a.pad, a.dilation
            )
        )
        return (*a.kernel, *a.stride, *a.pad, *a.dilation, *out)

    @property
    def is_pointwise(self) -> bool:
        """Whether each output position reads one input position, the same one."""
        a = self.a
        return a.kernel == (1, 1) and a.stride == (1, 1) and a.pad == (0, 0)


@attrs.frozen(eq=False)
class _Convolution:
    geometry: _Geometry
    products: List[IntegerProduct]
    zero: int
    outputs: int

    def __call__(self, x: Tensor) -> Tuple[Int32Array, Shape]:
        last = x.channels_last()
        batch, height, width, channels = last.shape
        sizes = self.geometry.of(height, width)
        shape = (batch, self.outputs, *sizes[8:])
        groups = len(self.products)
        if groups == 1:
            return self.products[0](self._rows(last, sizes, 0, channels)), shape
        each = channels // groups
        parts = [
            product(self._rows(last, sizes, index * each, each))
            for index, product in enumerate(self.products)
        ]
        return np.concatenate(parts, axis=1), shape

    def _rows(self, x: Any, sizes: Tuple[int, ...], first: int, channels: int) -> Any:
        if self.geometry.is_pointwise and channels == x.shape[3]:
            return x.reshape(-1, channels)
        kh, kw = sizes[:2]
        rows = np.empty((x.shape[0] * sizes[8] * sizes[9], kh * kw * channels), np.uint8)
        kernels.unfold(x, np.uint8(self.zero + 128), sizes, first, channels, rows)
        return rows


def _convolution(node: Node, a: Convolution, zero: int, threads: int) -> Accumulator:
    weights = node.weights[0]
    each = len(weights) // a.group
    products = []
    for group in range(a.group):
        own = weights[group * each : (group + 1) * each].transpose(TO_CHANNELS_LAST)
        products.append(_product(own.reshape(each, -1).T, zero, threads))
    return _Convolution(_Geometry(a), products, zero, len(weights))


@attrs.frozen(eq=False)
class _Depthwise:
    geometry: _Geometry
    weights: Int32Array
    zero: int

    def __call__(self, x: Tensor) -> Tuple[Int32Array, Shape]:
        last = x.channels_last()
        batch, height, width, channels = last.shape
        sizes = self.geometry.of(height, width)
        rows = np.empty((batch * sizes[8] * sizes[9], channels), np.int32)
        kernels.depthwise(last, np.int32(self.zero + 128), self.weights, sizes, rows)
        return rows, (batch, channels, *sizes[8:])


def _depthwise(node: Node, a: Convolution, zero: int, threads: int) -> Accumulator:
    weights = node.weights[0][:, 0].astype(np.int32).transpose(1, 2, 0)
    return _Depthwise(_Geometry(a), np.ascontiguousarray(weights), zero)


@attrs.frozen(eq=False)
class _Deconvolution:
    a: Convolution
    product: IntegerProduct

    def __call__(self, x: Tensor) -> Tuple[Int32Array, Shape]:
        last = x.channels_last()
        batch, height, width, _ = last.shape
        a = self.a
        out = tuple(
            stride * (size - 1) + dilation * (kernel - 1) + 1 - 2 * pad
            for size, kernel, stride, pad, dilation in zip(
                (height, width), a.kernel, a.stride, a.pad, a.dilation
            )
        )
        taps = self.product(last.reshape(batch * height * width, -1))
        rows = np.zeros((batch, *out, a.num_output), np.int32)
        shaped = taps.reshape(batch, height, width, -1)
        kernels.fold(shaped, (*a.kernel, *a.stride, *a.pad, *a.dilation, *out), rows)
        return rows.reshape(-1, a.num_output), (batch, a.num_output, *out)


def _deconvolution(node: Node, a: Convolution, zero: int, threads: int) -> Accumulator:
    # (channels, outputs, kh, kw) becomes (channels, kh * kw * outputs).
    weights = node.weights[0].transpose(TO_CHANNELS_LAST)
    return _Deconvolution(a, _product(weights.reshape(len(weights), -1), zero, threads))


@attrs.frozen(eq=False)
class ReferenceAccumulator:
    """The layer as the reference engine computes it; sums that do not fit int32 are an error."""

    node: Node
    zero: int
    simulator: LayerSimulator

    def __call__(self, x: Tensor) -> Tuple[Int32Array, Shape]:
        """Return accumulators with the bias taken off again, so that all kinds are alike."""
        centered = int8_of(x.channels_first()).astype(np.int32) - np.int32(self.zero)
        assert self.simulator.accumulate is not None
        accumulators = as_int32(self.node, self.simulator.accumulate(self.node, centered))
        # Undone modulo 2**32, as the pass behind adds it again.
        if len(self.node.weights) > 1:
            along = (1, -1) + (1,) * (accumulators.ndim - 2)
            with np.errstate(over="ignore"):
                accumulators = accumulators - self.node.weights[1].astype(np.int32).reshape(along)
        return Tensor(first=accumulators).rows(), accumulators.shape
