"""Runs deployable networks."""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, Mapping, Optional

import numba
from numpy.typing import NDArray

from amct_core.graph import Graph, Value
from cpu_sim_backend.execution import checked_input
from cpu_sim_backend.fast.fusion import fuse
from cpu_sim_backend.fast.instructions import Instructions, usable
from cpu_sim_backend.fast.plan import InputOperation, Plan, make_plan
from cpu_sim_backend.fast.prepared import PreparedLayers
from cpu_sim_backend.fast.run import Run
from cpu_sim_backend.fast.slicing import operations_by_sample, samples_at_once

Array = NDArray[Any]


class FastEngine:
    """A deployable network in the fast engine.

    Args:
        graph: the network.
        threads: to work with.
        instructions: to multiply with; None: the fastest there are here.
    """

    def __init__(
        self,
        graph: Graph,
        threads: int,
        instructions: Optional[Instructions] = None,
    ) -> None:
        self._graph = graph
        self._layers = PreparedLayers(instructions or usable()[0], threads)
        self._plans: Dict[FrozenSet[Value], Plan] = {}

    def run(self, inputs: Mapping[str, Array], wanted: FrozenSet[Value]) -> Dict[Value, Array]:
        """Return the wanted values as the reference engine does; errors are the same, too."""
        plan = self._plans.get(wanted)
        if plan is None:
            plan = make_plan(self._graph, wanted)
            fuse(plan)
            self._plans[wanted] = plan
        numba.set_num_threads(min(self._layers.threads, numba.config.NUMBA_NUM_THREADS))
        run = Run(self._layers, inputs, plan)
        done = self._by_samples(run, inputs, plan)
        run.operations(done, len(plan.operations))
        return {value: run.result(plan.resolve(value)) for value in wanted}

    def _by_samples(self, run: Run, inputs: Mapping[str, Array], plan: Plan) -> int:
        """Do the first operations on few samples at a time; return how many operations."""
        count = operations_by_sample(plan)
        arrays = {
            value.name: checked_input(inputs, value.name, shape)
            for operation in plan.operations
            if isinstance(operation, InputOperation)
            for value, shape in zip(operation.outputs, operation.shapes)
        }
        samples = {len(array) for array in arrays.values()}
        if not count or len(samples) != 1 or max(samples) < 2:
            return 0
        (total,) = samples
        parts, begin, size = [], 0, 1
        while begin < total:
            own = {name: array[begin : begin + size] for name, array in arrays.items()}
            part = Run(self._layers, own, plan)
            part.operations(0, count)
            parts.append(part)
            begin += size
            size = samples_at_once(parts[0].largest)
        run.take_over(parts, count)
        return count
