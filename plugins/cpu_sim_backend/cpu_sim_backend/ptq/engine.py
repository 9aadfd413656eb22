"""The simulator as the engine of post-training quantization."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Sequence, Tuple, Union

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ModelError
from amct_core.graph import Graph, Value
from amct_core.quantized_graph import quantized_graph
from amct_core.quantized_model import QuantizedModel
from cpu_sim_backend.ptq.part import Part, part_for
from cpu_sim_backend.simulator import Simulator

Array = NDArray[Any]
Shapes = Tuple[Tuple[str, Tuple[int, ...]], ...]


@attrs.frozen
class SimulatorEngine:
    """An :class:`amct_core.ptq.engine.Engine`.

    Attributes:
        engine: ``reference``, ``fast``, or ``auto``: see :class:`Simulator`.
    """

    engine: str = "auto"

    def prepare(
        self, network: Union[Graph, QuantizedModel], values: Sequence[Value]
    ) -> SimulatorRunner:
        """Return what computes ``values``; see :class:`amct_core.ptq.engine.Engine`."""
        graph = quantized_graph(network) if isinstance(network, QuantizedModel) else network
        return SimulatorRunner(part_for(graph, values), self.engine)


@attrs.define(eq=False)
class SimulatorRunner:
    """Part of a network; see :class:`amct_core.ptq.engine.Runner`."""

    _part: Part
    _engine: str
    _simulator: Dict[Shapes, Simulator] = attrs.field(factory=dict, init=False)

    @property
    def inputs(self) -> Tuple[str, ...]:
        """The blobs that it is fed with."""
        return self._part.inputs

    def __call__(self, batch: Mapping[str, Array]) -> Mapping[Value, Array]:
        """Run one batch."""
        inputs = {blob: self._array(batch, blob) for blob in self._part.inputs}
        found = self._simulator_for(inputs).run_values(inputs, tuple(self._part.values.values()))
        return {wanted: found[own] for wanted, own in self._part.values.items()}

    def _array(self, batch: Mapping[str, Array], blob: str) -> NDArray[np.float32]:
        if blob not in batch:
            raise ModelError(
                f"no data for input '{blob}'; given: {', '.join(sorted(batch)) or 'none'}.",
                file=self._part.file,
                remedy="Give one array per network input, called like it.",
            )
        return np.asarray(batch[blob], np.float32)

    def _simulator_for(self, inputs: Mapping[str, Array]) -> Simulator:
        """Return the simulator for inputs of these shapes; that of the last shapes is kept."""
        shapes = {blob: array.shape for blob, array in inputs.items()}
        key = tuple((blob, shape[1:]) for blob, shape in shapes.items())
        if key not in self._simulator:
            graph = self._part.with_inputs(shapes)
            self._simulator = {key: Simulator.from_graph(graph, self._engine)}
        return self._simulator[key]
