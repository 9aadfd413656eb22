"""Compares the factors of Quant and DeQuant that two models store.

On its own data a layer shows a wrong bias, scale or N only behind its DeQuant, where a difference
may also come from a float layer that is not exact.  The stored numbers leave no such doubt.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, Mapping, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ModelError
from amct_core.extensions.frontend import Factors
from amct_core.graph.deployed_layers import DeployedLayer

Array = NDArray[Any]


@attrs.frozen
class FactorDifference:
    """One field of one layer that differs.

    Attributes:
        field: ``scale``, ``offset``, ``deq_scale``, ``shift_n`` or ``bias``.
        count: how many of its values differ.
        channel: the first one that does.
        simulated, framework: its two values.
    """

    field: str
    count: int
    channel: int
    simulated: float
    framework: float


def deployed_factors(layer: DeployedLayer) -> Factors:
    """Return the factors of a quantized layer's Quant and DeQuant in a deployable model."""
    first = {"scale": np.asarray([layer.quant_scale]), "offset": np.asarray([layer.offset])}
    last: Dict[str, Array] = {"deq_scale": layer.deq_scale, "shift_n": layer.shift_n}
    if layer.bias is not None:
        last["bias"] = layer.bias
    return {layer.quant.name: first, layer.dequant.name: last}


def differences(deployed: Factors, framework: Factors) -> Iterator[FactorDifference]:
    """Yield the fields in which ``framework`` differs from ``deployed``.

    Layers that ``framework`` does not know are ignored.

    Raises:
        ModelError: a field is missing on one side, or has another length.
    """
    for name, mine in deployed.items():
        theirs = framework.get(name)
        if theirs is None:
            continue
        for field, simulated, given in _pairs(name, mine, theirs):
            different = np.flatnonzero(simulated != given)
            if len(different):
                channel = int(different[0])
                values = float(simulated[channel]), float(given[channel])
                yield FactorDifference(field, len(different), channel, *values)


def _pairs(
    layer: str, mine: Mapping[str, Array], theirs: Mapping[str, Array]
) -> Iterator[Tuple[str, Array, Array]]:
    for field in sorted({*mine, *theirs}, key=[*mine, *theirs].index):
        simulated, given = mine.get(field), theirs.get(field)
        if simulated is None or given is None or simulated.shape != given.shape:
            counts = [0 if values is None else values.size for values in (simulated, given)]
            raise ModelError(
                f"the deployable model has {counts[0]} values, the framework's has {counts[1]}.",
                layer=layer,
                field=field,
                remedy="Save the model again; the two files do not belong together.",
            )
        yield field, simulated, given
