"""Compares float blobs with those of a fake-quant model or of another engine.

A comparison ends where the simulated part of a network ends: at its outputs, and at what fed layers
read.
"""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ModelError
from amct_core.graph import Value
from amct_core.graph.attributes import Input
from cpu_sim_backend.counterparts import Counterpart, Observation
from cpu_sim_backend.feeding import FedLayer
from cpu_sim_backend.report import OutputReport
from cpu_sim_backend.simulator import Simulator

Array = NDArray[Any]
TOLERANCE = 1e-6
"""By which float blobs may differ, as a part of the largest magnitude in them."""


def other_bits(mine: Array, theirs: Array) -> NDArray[np.bool_]:
    """Return where float32 values differ in a bit; one NaN is as good as another, -0 is not 0."""
    mine, theirs = (np.ascontiguousarray(array, np.float32) for array in (mine, theirs))
    bits = mine.view(np.uint32) != theirs.view(np.uint32)
    different: NDArray[np.bool_] = bits & ~(np.isnan(mine) & np.isnan(theirs))
    return different


def beyond_tolerance(mine: Array, theirs: Array) -> NDArray[np.bool_]:
    """Return where values differ by more than :data:`TOLERANCE` of the largest finite one.

    By the blob's size, not the value's: a sum whose terms cancel has no correct digits.
    """
    largest = np.abs(theirs[np.isfinite(theirs)]).max(initial=0)
    with np.errstate(invalid="ignore"):
        close = np.abs(mine - theirs) <= TOLERANCE * largest
    same = (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
    beyond: NDArray[np.bool_] = ~(close | same)
    return beyond


@attrs.define
class FloatComparison:
    """Counts the differences of one float blob, batch after batch.

    Attributes:
        value: the tensor.
        claimed_exact: whether the simulation claims each of its bits.
        reader: the fed layer that reads it as its input number ``index``; None for an output.
    """

    value: Value
    claimed_exact: bool
    inexact_upstream: Tuple[str, ...] = ()
    reader: Optional[FedLayer] = None
    index: int = 0
    mismatches: int = 0
    different_values: int = 0
    beyond: int = 0

    def observe(self, found: Observation, free: Array, on_integers: Array) -> None:
        """Compare one batch.

        Args:
            found: what the other side has.
            free: what the simulation makes of the network's inputs.
            on_integers: what it makes of the int8 that the other side had.
        """
        if self.reader is None:
            theirs = found.outputs[self.value.name]
        else:
            theirs = found.fed[self.reader.name].bottoms[self.index]
        if free.shape != theirs.shape:
            raise ModelError(
                f"blob '{self.value.name}' has shape {free.shape} in the simulation and "
                f"{theirs.shape} in the framework.",
                remedy="Save the model again; the two files do not belong together.",
            )
        bits = other_bits(free, theirs)
        self.different_values += int(np.count_nonzero(bits))
        wrong = bits if self.claimed_exact else beyond_tolerance(free, theirs)
        self.mismatches += int(np.count_nonzero(wrong))
        self.beyond += int(np.count_nonzero(beyond_tolerance(on_integers, theirs)))

    def report(self) -> OutputReport:
        """Return what has been counted."""
        return OutputReport(
            blob=self.value.name,
            mismatches=self.mismatches,
            different_values=self.different_values,
            beyond_tolerance=self.beyond,
            inexact_upstream=self.inexact_upstream,
            fed_layer=None if self.reader is None else self.reader.name,
        )


def float_comparisons(simulator: Simulator, other: Counterpart) -> List[FloatComparison]:
    """Return a comparison for each float blob in which the simulated part of a network ends."""

    def comparison(
        value: Value, reader: Optional[FedLayer] = None, index: int = 0
    ) -> FloatComparison:
        inexact = () if other.same_floats else simulator.inexact_layers(value)
        return FloatComparison(value, not inexact, inexact, reader, index)

    found = [comparison(value) for value in simulator.computed_outputs]
    fed = {value for layer in simulator.fed_layers for value in layer.outputs}
    seen = set()
    for layer in simulator.fed_layers:
        for index, value in enumerate(layer.inputs):
            producer = simulator.graph.producer(value)
            given = producer is None or isinstance(producer.attributes, Input) or value in fed
            if not given and value not in seen:
                seen.add(value)
                found.append(comparison(value, layer, index))
    return found
