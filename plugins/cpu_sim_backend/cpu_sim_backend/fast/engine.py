"""Runs a plan."""

from __future__ import annotations

import logging
import math
from typing import (
    Any,
    Callable,
    Dict,
    FrozenSet,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
    Type,
)

import attrs
import numba
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import AmctError, QuantizationError
from amct_core.extensions import LayerSimulator
from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import Convolution, Pooling
from amct_core.numerics import dequant, pooling
from amct_core.registry import Registry
from cpu_sim_backend.execution import PooledSum, input_array
from cpu_sim_backend.fast.convolve import Window
from cpu_sim_backend.fast.finish import Finish
from cpu_sim_backend.fast.fusion import fuse
from cpu_sim_backend.fast.instructions import Instructions, usable
from cpu_sim_backend.fast.layers import QuantizedLayer, accumulate, per_channel, prepare
from cpu_sim_backend.fast.plan import (
    AveragePoolOperation,
    ConcatOperation,
    InputOperation,
    IntegerOperation,
    LayerOperation,
    MaxPoolOperation,
    Operation,
    Plan,
    PooledSumOperation,
    QuantizeOperation,
    make_plan,
)
from cpu_sim_backend.fast.pooling import average_pool, max_pool
from cpu_sim_backend.fast.quantize import quantize
from cpu_sim_backend.fast.tensor import Tensor, int8_of, of_rows

Array = NDArray[Any]
_log = logging.getLogger("cpu_sim_backend.fast")

_NO_FLOATS = np.empty((0, 0), np.float32)
_NO_INTEGERS = np.empty((0, 0), np.uint8)
_NO_SUMS = np.empty((0, 0), np.int32)
_NO_SHIFT = np.empty(0, np.int32)


@attrs.frozen(eq=False)
class _Prepared:
    """What a quantized layer needs at every run."""

    layer: QuantizedLayer
    shift: NDArray[np.int32]
    deq_scale: NDArray[np.float32]


class FastEngine:
    """A deployable network in the fast engine.

    Args:
        graph: the network.
        simulators: how the reference engine computes each layer type.
        integer_nodes: names of the layers that run in integers.
        threads: to work with.
        using: the instructions to multiply with; None: the fastest there are here.
    """

    def __init__(
        self,
        graph: Graph,
        simulators: Registry[LayerSimulator],
        integer_nodes: FrozenSet[str],
        threads: int,
        using: Optional[Instructions] = None,
    ) -> None:
        self.instructions = using or usable()[0]
        self._graph = graph
        self._simulators = simulators
        self._integer_nodes = integer_nodes
        self._threads = threads
        self._plans: Dict[FrozenSet[Value], Plan] = {}
        self._prepared: Dict[str, _Prepared] = {}

    def run(self, inputs: Mapping[str, Array], wanted: FrozenSet[Value]) -> Dict[Value, Array]:
        """Return the wanted values as the reference engine does; errors are the same, too."""
        plan = self._plans.get(wanted)
        if plan is None:
            plan = make_plan(self._graph, self._integer_nodes, wanted)
            fuse(plan)
            self._plans[wanted] = plan
        numba.set_num_threads(min(self._threads, numba.config.NUMBA_NUM_THREADS))
        run = _Run(self, inputs, plan)
        run.all()
        return {value: run.result(plan.resolve(value)) for value in wanted}

    def prepared(self, node: Node, dequant_node: Node, zero: int) -> _Prepared:
        """Return a quantized layer, prepared at its first run."""
        found = self._prepared.get(node.name)
        if found is None:
            simulator = self._simulators.get(node.op)
            layer = prepare(node, zero, simulator, self.instructions, self._threads)
            found = _prepare(node, dequant_node, layer)
            self._prepared[node.name] = found
        return found

    def simulator(self, node: Node) -> LayerSimulator:
        """Return how the reference engine computes a layer."""
        return self._simulators.get(node.op)


def _prepare(node: Node, dequant_node: Node, layer: QuantizedLayer) -> _Prepared:
    deq_scale, shift_n, _ = dequant.unpack(dequant_node.weights[0])
    dequant.check_shift_n(shift_n)
    channels = len(deq_scale)
    if len(node.weights) > 1:
        channels = max(channels, len(node.weights[1]))
    elif isinstance(node.attributes, Convolution):
        channels = node.attributes.num_output
    elif node.weights:
        channels = max(channels, len(node.weights[0]))
    return _Prepared(
        layer,
        per_channel(shift_n, channels, np.int32) if shift_n.any() else _NO_SHIFT,
        per_channel(deq_scale, channels, np.float32),
    )


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


class _Run:
    """One batch on its way through a plan."""

    def __init__(self, engine: FastEngine, inputs: Mapping[str, Array], plan: Plan) -> None:
        self._engine = engine
        self._inputs = inputs
        self._plan = plan
        self._tensors: Dict[Value, Tensor] = {}
        self._integers: Set[Value] = set()
        self._concatenations: Dict[Value, Array] = {}
        self._readers = {value: len(users) for value, users in plan.uses().items()}
        self._concat_of = {
            value: operation
            for operation in plan.operations
            if isinstance(operation, ConcatOperation) and operation.channels is not None
            for value in operation.inputs
        }

    def all(self) -> None:
        """Run every operation."""
        for operation in self._plan.operations:
            try:
                _STEPS[type(operation)](self, operation)
            except AmctError as error:
                node = getattr(operation, "node", None)
                if error.layer is not None or node is None:
                    raise
                raise type(error)(error.problem, layer=node.name, remedy=error.remedy) from error
            self._forget(operation)

    def result(self, value: Value) -> Array:
        """Return a value as Caffe has it: 8-bit values as int8."""
        array = self._tensors[value].channels_first()
        return int8_of(array) if value in self._integers else array

    def _forget(self, operation: Operation) -> None:
        for value in operation.inputs:
            self._readers[value] -= 1
            if not self._readers[value] and value not in self._plan.wanted:
                self._tensors.pop(value, None)

    def _arrays(self, operation: Operation) -> List[Array]:
        return [self._tensors[value].channels_first() for value in operation.inputs]

    def _input(self, operation: InputOperation) -> None:
        for value, shape in zip(operation.outputs, operation.shapes):
            array = input_array(self._inputs, value.name, shape)
            self._tensors[value] = Tensor(first=np.asarray(array, order="C"))

    def _quantize(self, operation: QuantizeOperation) -> None:
        source = self._tensors[operation.inputs[0]]
        x = source.last if source.last is not None else source.channels_first()
        result = np.empty(x.shape, np.uint8)
        scale, offset = np.float32(operation.scale), np.float32(operation.offset)
        if quantize(self._engine.instructions, x.reshape(-1), scale, offset, result.reshape(-1)):
            raise _nan_in(operation)
        tensor = Tensor(last=result) if source.last is not None else Tensor(first=result)
        self._keep_integers(operation.outputs[0], tensor)

    def _keep_integers(self, value: Value, tensor: Tensor) -> None:
        self._tensors[value] = tensor
        self._integers.add(value)

    def _integer(self, operation: IntegerOperation) -> None:
        prepared = self._engine.prepared(operation.node, operation.dequant, operation.zero)

        def begin(shape: Tuple[int, ...]) -> Finish:
            return self._finish(operation, prepared, shape)

        nans = prepared.layer(self._tensors[operation.inputs[0]], begin)
        if nans and operation.quantize is not None:
            raise _nan_in(operation.quantize)

    def _finish(
        self, operation: IntegerOperation, prepared: _Prepared, shape: Tuple[int, ...]
    ) -> Finish:
        """Make room for the results of a layer, whose output has ``shape``, and keep them."""
        size = math.prod(shape) // shape[1], shape[1]
        residual, sums, floats, integers = _NO_FLOATS, _NO_SUMS, _NO_FLOATS, _NO_INTEGERS
        if operation.residual is not None:
            residual = self._tensors[operation.residual].rows()
        if operation.accumulator in self._plan.wanted:
            sums = np.empty(size, np.int32)
            self._tensors[operation.accumulator] = of_rows(sums, shape)
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

    def _pooled_sum(self, operation: PooledSumOperation) -> None:
        simulator = self._engine.simulator(operation.node)
        x = self._tensors[operation.inputs[0]]
        sums = accumulate(operation.node, operation.zero, simulator, x)
        if operation.accumulator in self._plan.wanted:
            self._tensors[operation.accumulator] = Tensor(first=sums)
        a = operation.node.attributes
        assert isinstance(a, Pooling) and a.kernel is not None
        height, width = x.shape[2:]
        areas = pooling.window_areas(height, width, a.kernel, a.stride, a.pad, a.ceil_mode)
        deq_scale, _, _ = dequant.unpack(operation.dequant.weights[0])
        pooled = PooledSum(sums, areas, a.kernel)
        floats = pooling.dequantize_sum(pooled.sums, deq_scale[0], pooled.areas, pooled.kernel)
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

    def _layer(self, operation: LayerOperation) -> None:
        simulator = self._engine.simulator(operation.node)
        assert simulator.run is not None
        outputs = simulator.run(operation.node, self._arrays(operation))
        for value, array in zip(operation.outputs, outputs):
            self._tensors[value] = Tensor(first=np.asarray(array, order="C"))


_STEPS: Mapping[Type[Operation], Callable[[_Run, Any], None]] = {
    InputOperation: _Run._input,
    QuantizeOperation: _Run._quantize,
    IntegerOperation: _Run._integer,
    PooledSumOperation: _Run._pooled_sum,
    MaxPoolOperation: _Run._max_pool,
    AveragePoolOperation: _Run._average_pool,
    ConcatOperation: _Run._concat,
    LayerOperation: _Run._layer,
}

__all__: Sequence[str] = ["FastEngine"]
