"""Where the fast engine spends its time, by kind of layer.

A compiled pass multiplies, adds the bias, shifts, scales and quantizes a layer at once, so there is
nothing smaller to take the time of than an operation of the engine's plan.  The engine has no hook
for it: its table of operations is replaced while it is measured.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping
from unittest import mock

from amct_core.graph.attributes import Convolution
from cpu_sim_backend.fast import run
from cpu_sim_backend.fast.plan import IntegerOperation, LayerOperation, Operation

OTHER = "between the operations"


def kind_of(operation: Operation) -> str:
    """Return what an operation is counted as."""
    if isinstance(operation, IntegerOperation):
        a, op = operation.node.attributes, operation.node.op
        if isinstance(a, Convolution):
            size = "x".join(map(str, a.kernel))
            groups = f", {a.group} groups" if a.group > 1 else ""
            return f"integer {op} {size}, stride {a.stride[0]}{groups}"
        return f"integer {op}"
    if isinstance(operation, LayerOperation):
        return f"float {operation.node.op}"
    return type(operation).__name__.replace("Operation", "")


class _Stopwatch:
    """Adds up seconds and multiply-accumulates by kind."""

    def __init__(self, macs: Mapping[str, int]) -> None:
        self.seconds: Dict[str, float] = {}
        self.macs: Dict[str, int] = {}
        self._macs_of = macs
        self._counted: set[str] = set()

    def wrap(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """Return a step of the engine with its time taken."""

        def timed(own_run: Any, operation: Operation) -> None:
            start = time.perf_counter()
            step(own_run, operation)
            spent = time.perf_counter() - start
            kind = kind_of(operation)
            self.seconds[kind] = self.seconds.get(kind, 0.0) + spent
            self._count(kind, operation)

        return timed

    def _count(self, kind: str, operation: Operation) -> None:
        """Count each layer once, though it may run once for each few samples."""
        if isinstance(operation, IntegerOperation) and operation.node.name not in self._counted:
            self._counted.add(operation.node.name)
            self.macs[kind] = self.macs.get(kind, 0) + self._macs_of[operation.node.name]


@contextlib.contextmanager
def _watched(macs: Mapping[str, int]) -> Iterator[_Stopwatch]:
    watch = _Stopwatch(macs)
    steps = {kind: watch.wrap(step) for kind, step in run._STEPS.items()}
    with mock.patch.object(run, "_STEPS", steps):
        yield watch


def times_by_kind(
    step: Callable[[], Any], macs: Mapping[str, int], batch: int, rounds: int
) -> Dict[str, Dict[str, float]]:
    """Return milliseconds, and GMAC/s where there are any, by kind of layer, largest first.

    Args:
        step: runs a simulator once.
        macs: multiply-accumulates of one sample, by layer.
        batch: samples in a run.
        rounds: of which the medians are taken.
    """
    found: List[Dict[str, float]] = []
    for _ in range(rounds):
        with _watched(macs) as watch:
            start = time.perf_counter()
            step()
            total = time.perf_counter() - start
        found.append({**watch.seconds, OTHER: total - sum(watch.seconds.values())})
    medians = {kind: statistics.median(own[kind] for own in found) for kind in found[0]}
    result: Dict[str, Dict[str, float]] = {}
    for kind, seconds in sorted(medians.items(), key=lambda item: -item[1]):
        result[kind] = {"ms": round(seconds * 1000, 3)}
        if kind in watch.macs:
            rate = batch * watch.macs[kind] / seconds / 1e9
            result[kind]["gmac_per_second"] = round(rate, 1)
    return result
