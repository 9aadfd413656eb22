"""Runs one batch through a graph, in integers where it is quantized."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterator, Mapping, Sequence, Tuple, Union

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.contracts.layer_types import checked_accumulators
from amct_core.contracts.usage import Usage, shown
from amct_core.entry_points import are_own
from amct_core.errors import (
    AmctError,
    EnvironmentUnsuitableError,
    ModelError,
    QuantizationError,
)
from amct_core.graph import Node, Value
from amct_core.graph.attributes import DeQuant, Input, Pooling, Quant
from amct_core.numerics import affine, dequant, float16, pooling
from cpu_sim_backend.device.dequantizing import dequantized
from cpu_sim_backend.feeding import Fed

Array = NDArray[Any]
_INT32 = np.iinfo(np.int32)


@attrs.frozen(eq=False)
class QuantizedTensor:
    """int8 values together with the offset that they carry."""

    q: NDArray[np.int8]
    offset: int

    @property
    def centered(self) -> NDArray[np.int32]:
        """``q - offset``, -255..255."""
        return self.q.astype(np.int32) - np.int32(self.offset)


@attrs.frozen(eq=False)
class PooledSum:
    """The integer sums of a quantized AVE Pooling, and the area by which Caffe divides each."""

    sums: NDArray[np.int32]
    areas: NDArray[np.int64]
    kernel: Tuple[int, int]


Tensor = Union[Array, QuantizedTensor, PooledSum]


def as_array(tensor: Tensor) -> Array:
    """Return a tensor's numbers: int8 of a Quant, int32 of an accumulator, or float32."""
    if isinstance(tensor, QuantizedTensor):
        return tensor.q
    return tensor.sums if isinstance(tensor, PooledSum) else tensor


def input_array(
    inputs: Mapping[str, Array], name: str, shape: Tuple[int, ...]
) -> NDArray[np.float32]:
    """Return the array that the caller gave for input ``name``, as float32.

    Raises:
        ModelError: there is none, or it does not have ``shape``, except for the batch size.
    """
    return checked_input(inputs, name, shape).astype(np.float32)


def checked_input(inputs: Mapping[str, Array], name: str, shape: Tuple[int, ...]) -> Array:
    """Return the array that the caller gave for input ``name``, as it is; see above."""
    if name not in inputs:
        raise ModelError(
            f"no data for input '{name}'; given: {sorted(inputs)}.",
            remedy="Give one array per network input, keyed by blob name.",
        )
    array = np.asarray(inputs[name])
    if array.dtype.kind not in "fiu" or array.shape[1:] != tuple(shape[1:]) or not array.ndim:
        raise ModelError(
            f"input '{name}' is {array.dtype} of shape {array.shape}; expected numbers of "
            f"shape (N, {', '.join(map(str, shape[1:]))}).",
            remedy="Preprocess the data as in training.",
        )
    return array


@contextlib.contextmanager
def told_with(layer: str) -> Iterator[None]:
    """Let errors of what computes a layer, which need not know its name, tell it.

    Raises:
        EnvironmentUnsuitableError: there is not enough memory.
    """
    try:
        yield
    except AmctError as error:
        if error.layer is not None:
            raise
        raise error.at(layer=layer) from error
    except MemoryError as error:
        raise EnvironmentUnsuitableError(
            "there is not enough memory to compute it for a batch of this size.",
            layer=layer,
            remedy="Give smaller batches (--batch-size).",
        ) from error


@attrs.define
class Execution:
    """One batch on its way through a graph.

    Attributes:
        inputs: the batch, by input blob.
        tensors: what has been computed and is still needed.
    """

    inputs: Mapping[str, Array]
    tensors: Dict[Value, Tensor] = attrs.field(factory=dict)

    def run(self, node: Node) -> Sequence[Tensor]:
        """Return the outputs of ``node``, and keep them.

        Raises:
            ModelError: an input of the network is missing or has the wrong shape.
            QuantizationError: an accumulator leaves the int32 range.
            EnvironmentUnsuitableError: there is not enough memory.
        """
        with told_with(node.name):
            outputs = self._compute(node)
        self.tensors.update(zip(node.outputs, outputs))
        return outputs

    def _compute(self, node: Node) -> Sequence[Tensor]:
        a = node.attributes
        if isinstance(a, Input):
            given = zip(node.tops, a.shapes)
            return _in_float16(node, [input_array(self.inputs, top, each) for top, each in given])
        if isinstance(a, Fed):
            return [np.asarray(self.inputs[key], np.float32) for key in a.keys]
        arguments = [self.tensors[value] for value in node.inputs]
        if isinstance(a, Quant):
            quantize = float16.quantize if a.float16 else affine.quantize
            q = quantize(as_array(arguments[0]), a.scale, a.zero_point)
            return [QuantizedTensor(q, a.offset)]
        if isinstance(a, DeQuant):
            return [_dequantize(node, arguments[0])]
        if arguments and isinstance(arguments[0], QuantizedTensor):
            return [_integer_layer(node, arguments[0])]
        return _in_float16(node, float_layer(node, [as_array(x) for x in arguments]))


def float_layer(node: Node, inputs: Sequence[Array]) -> Sequence[Array]:
    """Return the outputs of a layer in float32.

    Raises:
        ModelError: the type is the project's own, and computes less than the network asks for.
        PluginError: ``run`` of a plugin fails, or returns something else than an output for each.
    """
    assert node.type.run is not None
    usage = Usage(node.type, node.name)
    with usage.running("run", tells_itself=True):
        outputs: object = node.type.run(node, inputs)
    if not isinstance(outputs, (list, tuple)):
        raise usage.error(
            f"run returned {shown(outputs)}; expected a list of {len(node.outputs)} arrays, one "
            "for each output of the layer."
        )
    if len(outputs) == len(node.outputs):
        return outputs
    if are_own(node.type.provider):
        raise ModelError(
            f"it has {len(node.outputs)} outputs; {len(outputs)} can be simulated.",
            layer=node.name,
        )
    raise usage.error(
        f"run returned {len(outputs)} outputs; expected {len(node.outputs)}, one for each output "
        "of the layer."
    )


def _integer_layer(node: Node, tensor: QuantizedTensor) -> Tensor:
    accumulator = accumulators(node, tensor)
    a = node.attributes
    if not isinstance(a, Pooling):
        return accumulator
    assert a.kernel is not None
    height, width = tensor.q.shape[2:]
    areas = pooling.window_areas(height, width, a.kernel, a.stride, a.pad, a.ceil_mode)
    return PooledSum(accumulator, areas, a.kernel)


def accumulators(node: Node, tensor: QuantizedTensor) -> NDArray[np.int32]:
    """Return what a quantized layer makes of ``tensor``, bias included, channels on axis 1.

    Raises:
        QuantizationError: one does not fit int32; the message names it and its channel.
        PluginError: the integer rule of a plugin fails, or breaks its contract.
    """
    accumulator = checked_accumulators(node, tensor.centered)
    low, high = int(accumulator.min(initial=0)), int(accumulator.max(initial=0))
    if low < _INT32.min or high > _INT32.max:
        worst = high if high > _INT32.max else low
        channel = int(np.argwhere(accumulator == worst)[0][1])
        raise QuantizationError(
            f"an accumulator of channel {channel} is {worst}, which does not fit int32.",
            layer=node.name,
            remedy="Disable the layer in the config.",
        )
    return np.asarray(accumulator, np.int32)


def _in_float16(node: Node, outputs: Sequence[Array]) -> Sequence[Array]:
    return [float16.rounded(array) for array in outputs] if node.float16 else list(outputs)


def _dequantize(node: Node, tensor: Tensor) -> NDArray[np.float32]:
    deq_scale, shift_n, _ = dequant.unpack(node.weights[0])
    a = node.typed(DeQuant)
    factors = None
    if isinstance(tensor, PooledSum):
        factors = pooling.area_factors(tensor.areas, tensor.kernel)
    return dequantized(a, as_array(tensor), deq_scale, shift_n, factors)
