"""Runs the operations of a plan."""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple, Type

import numpy as np
from numpy.typing import NDArray

from amct_core.errors import QuantizationError
from amct_core.graph import Node, Value
from amct_core.graph.attributes import DeQuant, Pooling
from amct_core.numerics import pooling
from cpu_sim_backend.device.dequantizing import dequantized
from cpu_sim_backend.execution import float_layer, input_array, told_with
from cpu_sim_backend.fast.convolve import Window
from cpu_sim_backend.fast.device import (
    DeviceQuant,
    device_quant,
    finish_as_device,
    quantize_as_device,
    round_to_half,
)
from cpu_sim_backend.fast.finish import Finish, only_accumulators
from cpu_sim_backend.fast.layers import accumulate
from cpu_sim_backend.fast.plan import (
    AveragePoolOperation,
    ConcatOperation,
    FedOperation,
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
from cpu_sim_backend.fast.pooling import average_pool, max_pool
from cpu_sim_backend.fast.prepared import Prepared, PreparedLayers
from cpu_sim_backend.fast.quantize import quantize
from cpu_sim_backend.fast.tensor import Tensor, int8_of, joined, of_rows

Array = NDArray[Any]

_NO_FLOATS = np.empty((0, 0), np.float32)
_NO_INTEGERS = np.empty((0, 0), np.uint8)
_NO_SUMS = np.empty((0, 0), np.int32)


class Run:
    """Some samples on their way through a plan.

    Args:
        layers: of the engine.
        inputs: arrays by input blob.
        plan: what to run.
    """

    def __init__(self, layers: PreparedLayers, inputs: Mapping[str, Array], plan: Plan) -> None:
        self._layers = layers
        self._inputs = inputs
        self._plan = plan
        self._tensors: Dict[Value, Tensor] = {}
        self._integers: Set[Value] = set()
        self._concatenations: Dict[Value, Array] = {}
        self._largest = 0
        self._readers = {value: len(users) for value, users in plan.uses().items()}
        self._concat_of = {
            value: operation
            for operation in plan.operations
            if isinstance(operation, ConcatOperation) and operation.channels is not None
            for value in operation.inputs
        }

    def operations(self, begin: int, end: int) -> None:
        """Run the operations of the plan from ``begin`` to ``end``, in order."""
        for operation in self._plan.operations[begin:end]:
            with told_with(operation.name):
                _STEPS[type(operation)](self, operation)
            if operation.float16 and not isinstance(operation, QuantizeOperation):
                self._round(operation)
            for value in operation.outputs:
                if value in self._tensors:
                    self._largest = max(self._largest, self._tensors[value].size)
            self._forget(operation)

    @property
    def largest(self) -> int:
        """The size in bytes of the largest tensor there has been."""
        return self._largest

    def take_over(self, parts: Sequence[Run], operations: int) -> None:
        """Continue where runs of the samples, part by part, have come after ``operations``."""
        self._integers = set(parts[0]._integers)
        self._forget_all(self._plan.operations[:operations])
        for value in parts[0]._tensors:
            self._tensors[value] = joined([part._tensors[value] for part in parts])

    def result(self, value: Value) -> Array:
        """Return a value as Caffe has it: 8-bit values as int8."""
        array = self._tensors[value].channels_first()
        return int8_of(array) if value in self._integers else array

    def _forget_all(self, operations: Sequence[Operation]) -> None:
        for operation in operations:
            self._forget(operation)

    def _forget(self, operation: Operation) -> None:
        for value in operation.inputs:
            self._readers[value] -= 1
            if not self._readers[value] and value not in self._plan.wanted:
                self._tensors.pop(value, None)

    def _arrays(self, operation: Operation) -> List[Array]:
        return [self._tensors[value].channels_first() for value in operation.inputs]

    def _round(self, operation: Operation) -> None:
        for value in operation.outputs:
            tensor = self._tensors[value]
            array = tensor.last if tensor.last is not None else tensor.channels_first()
            result = np.empty(array.shape, np.float32)
            round_to_half(np.ascontiguousarray(array, np.float32).reshape(-1), result.reshape(-1))
            rounded = Tensor(last=result) if tensor.last is not None else Tensor(first=result)
            self._tensors[value] = rounded

    def _input(self, operation: InputOperation) -> None:
        for value, shape in zip(operation.outputs, operation.shapes):
            array = input_array(self._inputs, value.name, shape)
            self._tensors[value] = Tensor(first=np.asarray(array, order="C"))

    def _fed(self, operation: FedOperation) -> None:
        for value, key in zip(operation.outputs, operation.keys):
            array = np.asarray(self._inputs[key], np.float32, order="C")
            self._tensors[value] = Tensor(first=array)

    def _quantize(self, operation: QuantizeOperation) -> None:
        source = self._tensors[operation.inputs[0]]
        x = source.last if source.last is not None else source.channels_first()
        result = np.empty(x.shape, np.uint8)
        scale, offset = np.float32(operation.scale), np.float32(operation.offset)
        values, integers = x.reshape(-1), result.reshape(-1)
        if operation.float16:
            nans = quantize_as_device(values, _device_quant(operation), integers)
        else:
            nans = quantize(self._layers.instructions, values, scale, offset, integers)
        if nans:
            raise _nan_in(operation)
        tensor = Tensor(last=result) if source.last is not None else Tensor(first=result)
        self._keep_integers(operation.outputs[0], tensor)

    def _keep_integers(self, value: Value, tensor: Tensor) -> None:
        self._tensors[value] = tensor
        self._integers.add(value)

    def _integer(self, operation: IntegerOperation) -> None:
        prepared = self._layers.prepared(operation.layer)
        if operation.as_device:
            nans = self._integer_as_device(operation, prepared)
        else:
            nans = self._integer_exactly(operation, prepared)
        if nans and operation.quantize is not None:
            raise _nan_in(operation.quantize)

    def _integer_exactly(self, operation: IntegerOperation, prepared: Prepared) -> int:
        def begin(shape: Tuple[int, ...]) -> Finish:
            return self._finish(operation, prepared, shape)

        return prepared.kernel(self._tensors[operation.inputs[0]], begin)

    def _integer_as_device(self, operation: IntegerOperation, prepared: Prepared) -> int:
        finishes: List[Tuple[Finish, Array]] = []

        def begin(shape: Tuple[int, ...]) -> Finish:
            finish = self._finish(operation, prepared, shape)
            sums = finish.accumulators
            if not sums.size:
                sums = np.empty((math.prod(shape) // shape[1], shape[1]), np.int32)
            finishes.append((finish, sums))
            return only_accumulators(sums)

        prepared.kernel(self._tensors[operation.inputs[0]], begin)
        ((finish, sums),) = finishes
        quant = _device_quant(operation.quantize)
        return finish_as_device(sums, prepared.as_device, quant, operation.rounds_sum, finish)

    def _finish(
        self, operation: IntegerOperation, prepared: Prepared, shape: Tuple[int, ...]
    ) -> Finish:
        """Make room for the results of a layer, whose output has ``shape``, and keep them."""
        size = math.prod(shape) // shape[1], shape[1]
        residual, sums, floats, integers = _NO_FLOATS, _NO_SUMS, _NO_FLOATS, _NO_INTEGERS
        if operation.residual is not None:
            residual = self._tensors[operation.residual].rows()
        if operation.layer.accumulator in self._plan.wanted:
            sums = np.empty(size, np.int32)
            self._tensors[operation.layer.accumulator] = of_rows(sums, shape)
        if operation.floats is not None:
            floats = np.empty(size, np.float32)
            self._tensors[operation.floats] = of_rows(floats, shape)
        quantize = operation.quantize
        if quantize is not None:
            integers = self._target(operation, size)
            whole = (shape[0], integers.shape[1], *shape[2:])
            self._keep_integers(quantize.outputs[0], of_rows(integers, whole))
        return Finish(
            shift=prepared.shift,
            deq_scale=prepared.deq_scale,
            floor=_floor(operation.relu),
            residual=residual,
            floor_after=_floor(operation.relu_after),
            accumulators=sums,
            floats=floats,
            scale=np.float32(quantize.scale if quantize is not None else 1),
            offset=np.float32(quantize.offset if quantize is not None else 0),
            integers=integers,
            first=operation.column or 0,
        )

    def _target(self, operation: IntegerOperation, shape: Tuple[int, ...]) -> Array:
        """Return where the 8-bit result goes: rows of its own, or those of a concatenation."""
        assert operation.quantize is not None
        if operation.column is None:
            return np.empty(shape, np.uint8)
        concat = self._concat_of[operation.quantize.outputs[0]]
        value = concat.outputs[0]
        if value not in self._concatenations:
            assert concat.channels is not None
            self._concatenations[value] = np.empty((shape[0], concat.channels), np.uint8)
        return self._concatenations[value]

    def _unweighted(self, operation: UnweightedOperation) -> None:
        x = self._tensors[operation.inputs[0]]
        layer = operation.layer
        sums = accumulate(layer, x)
        if layer.accumulator in self._plan.wanted:
            self._tensors[layer.accumulator] = Tensor(first=sums)
        a, factors = layer.node.attributes, None
        if isinstance(a, Pooling):
            assert a.kernel is not None
            height, width = x.shape[2:]
            areas = pooling.window_areas(height, width, a.kernel, a.stride, a.pad, a.ceil_mode)
            factors = pooling.area_factors(areas, a.kernel)
        own = layer.dequant.typed(DeQuant)
        floats = dequantized(own, sums, layer.deq_scale, layer.shift_n, factors)
        self._tensors[operation.outputs[1]] = Tensor(first=floats)

    def _max_pool(self, operation: MaxPoolOperation) -> None:
        value = operation.inputs[0]
        x = self._tensors[value].channels_last()
        window, _ = _windows(operation.node, x)
        result = np.empty((len(x), window.out_height, window.out_width, x.shape[3]), x.dtype)
        max_pool(x, window, result)
        self._tensors[operation.outputs[0]] = Tensor(last=result)
        if value in self._integers:
            self._integers.add(operation.outputs[0])

    def _average_pool(self, operation: AveragePoolOperation) -> None:
        x = self._tensors[operation.inputs[0]].channels_last()
        window, areas = _windows(operation.node, x)
        size = len(x), window.out_height, window.out_width, x.shape[3]
        result = np.empty(size, np.float32)
        average_pool(x, window, areas.astype(np.float32), result)
        self._tensors[operation.outputs[0]] = Tensor(last=result)

    def _concat(self, operation: ConcatOperation) -> None:
        value = operation.outputs[0]
        sources = [self._tensors[source] for source in operation.inputs]
        if operation.channels is not None:
            # Every source has been written into the same rows.
            self._tensors[value] = sources[0]
        elif len(sources[0].shape) == 4:
            joined = np.concatenate([source.channels_last() for source in sources], axis=3)
            self._tensors[value] = Tensor(last=joined)
        else:
            arrays = [source.channels_first() for source in sources]
            self._tensors[value] = Tensor(first=np.concatenate(arrays, axis=1))
        if operation.inputs[0] in self._integers:
            self._integers.add(value)

    def _rounding(self, operation: RoundingOperation) -> None:
        # What all operations have in common rounds it.
        self._tensors[operation.outputs[0]] = self._tensors[operation.inputs[0]]

    def _layer(self, operation: LayerOperation) -> None:
        outputs = float_layer(operation.node, self._arrays(operation))
        for value, array in zip(operation.outputs, outputs):
            self._tensors[value] = Tensor(first=np.asarray(array, order="C"))


def _device_quant(quantize: Optional[QuantizeOperation]) -> DeviceQuant:
    if quantize is None:
        return device_quant(1.0, 0, False)
    return device_quant(quantize.scale, quantize.offset, quantize.float16)


def _nan_in(quantize: QuantizeOperation) -> QuantizationError:
    return QuantizationError(
        "an activation is NaN.",
        layer=quantize.name,
        remedy="Look for a diverging loss or a division by zero before this layer.",
    )


def _floor(relu: bool) -> np.float32:
    return np.float32(0 if relu else -np.inf)


def _windows(node: Node, x: Array) -> Tuple[Window, Array]:
    """Return a pooling's window, and the area of each of its positions."""
    a = node.attributes
    assert isinstance(a, Pooling)
    height, width = x.shape[1:3]
    kernel = (height, width) if a.kernel is None else a.kernel
    out = pooling.output_size(height, width, kernel, a.stride, a.pad, a.ceil_mode)
    areas = pooling.window_areas(height, width, kernel, a.stride, a.pad, a.ceil_mode)
    return Window(*kernel, *a.stride, *a.pad, 1, 1, *out), areas


_STEPS: Mapping[Type[Operation], Callable[[Run, Any], None]] = {
    InputOperation: Run._input,
    FedOperation: Run._fed,
    QuantizeOperation: Run._quantize,
    IntegerOperation: Run._integer,
    UnweightedOperation: Run._unweighted,
    MaxPoolOperation: Run._max_pool,
    AveragePoolOperation: Run._average_pool,
    ConcatOperation: Run._concat,
    LayerOperation: Run._layer,
    RoundingOperation: Run._rounding,
}
