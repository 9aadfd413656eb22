"""The calibrator ``best``: for each blob, the factors that disturb its readers least.

Every other streaming calibrator observes the blob.  Then, over the same batches, each pair of
factors is measured by the outputs of the quantized layers that read the blob::

    y     = layer(x)      float32 weights and bias, float32 input
    y_q   = layer(x_q)    weights of int8, x_q = (q - offset_d) * scale_d of the same input
    error = sum over layers of  sum((y_q - y)**2) / sum(y**2)        float64, all batches

and the least error wins, the first calibrator of the registry on a tie.  ``x`` is what the network
that is calibrated computes there (quantized weights upstream, float activations).  Layers that
share a blob share its factors, and each counts by its relative error.  Accumulators and biases are
float here: their rounding is the same for every candidate, except for the bias, whose step is far
below that of the weights.

Memory does not grow with the data: of each candidate there are two sums per layer.
"""

from __future__ import annotations

import logging
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.contracts.preparation import prepare
from amct_core.errors import ConfigError, PluginError
from amct_core.extensions import Calibrator
from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import Input
from amct_core.numerics import affine
from amct_core.plugins import Registries
from amct_core.ptq.engine import Engine, Runner
from amct_core.ptq.observing import Observer, observer_for
from amct_core.ptq.plan import CalibrationGroup, CalibrationPlan

_log = logging.getLogger("amct_core.ptq")

Array = NDArray[np.float32]
Factors = Tuple[Any, int]

_INPUT, _OUTPUT = "input of the layer", "output of the layer"


def candidates(
    plugins: Registries, with_offset: bool, layer: Optional[str] = None
) -> Dict[str, Observer]:
    """Return a new observer of each calibrator that ``best`` chooses from.

    Args:
        plugins: all calibrators.
        with_offset: whether activations have an offset; a calibrator that cannot do without is no
            candidate where they have none.
        layer: names of the layers that read the blob, for messages.

    Raises:
        PluginError: there is none.
    """
    found: Dict[str, Observer] = {}
    for calibrator in plugins.calibrators:
        if calibrator.start is not None and not calibrator.chooses:
            _add(found, calibrator, with_offset, layer)
    if not found:
        raise PluginError("no streaming calibrator is installed, so there is none to choose.")
    return found


def _add(
    found: Dict[str, Observer], calibrator: Calibrator, with_offset: bool, layer: Optional[str]
) -> None:
    try:
        observer = observer_for(calibrator, {"with_offset": with_offset}, layer)
    except ConfigError as error:
        _log.info("calibrator '%s' is no candidate: %s", calibrator.name, error.problem)
        return
    prepare(calibrator, layer)
    found[calibrator.name] = observer


@attrs.define(eq=False)
class _Layer:
    """A layer that reads the blob: what runs it, and the sum of its squared outputs."""

    exact: Runner
    quantized: Runner
    power: float = 0.0
    errors: Dict[str, float] = attrs.field(factory=dict)

    def observe(self, x: Array, factors: Mapping[str, Factors]) -> None:
        y = _run(self.exact, x)
        self.power += float(np.square(y).sum())
        for name, (scale, offset) in factors.items():
            q = affine.quantize(x, affine.quant_scale(scale), offset)
            error = _run(self.quantized, affine.dequantize(q, offset, scale)) - y
            self.errors[name] = self.errors.get(name, 0.0) + float(np.square(error).sum())


def _run(runner: Runner, x: Array) -> NDArray[np.float64]:
    return np.asarray(runner({_INPUT: x})[Value(_OUTPUT)], np.float64)


class Choice:
    """The choice of one group: ``observe`` each batch, then ``result``.

    Args:
        plan: the calibration.
        group: the blob and its readers.
        factors: the candidates, by calibrator.
        engine: what runs single layers.
    """

    def __init__(
        self,
        plan: CalibrationPlan,
        group: CalibrationGroup,
        factors: Mapping[str, Factors],
        engine: Engine,
    ) -> None:
        self._group = group
        self._factors = factors
        self._distinct = _distinct(factors)
        quantized = plan.fake_quantized()
        self._layers = [
            _Layer(_alone(plan.graph, name, engine), _alone(quantized, name, engine))
            for name in group.layers
        ]

    def observe(self, x: Array) -> None:
        """Take in one batch of what the layers read."""
        for layer in self._layers:
            layer.observe(x, self._distinct)

    def result(self) -> Factors:
        """Return the factors with the least error."""
        errors = {name: self._error(name) for name in self._distinct}
        best = min(errors, key=lambda name: errors[name])
        _log.info(
            "layer %s: '%s' is the best calibrator; relative errors of the output: %s",
            ", ".join(self._group.layers),
            best,
            ", ".join(f"{name} {error:.4g}" for name, error in errors.items()),
        )
        return self._distinct[best]

    def _error(self, name: str) -> float:
        return sum(each.errors[name] / (each.power or 1.0) for each in self._layers)


def _distinct(factors: Mapping[str, Factors]) -> Dict[str, Factors]:
    """Return ``factors`` without those that an earlier calibrator has found, too."""
    found: Dict[str, Factors] = {}
    seen: List[Factors] = []
    for name, pair in factors.items():
        if pair not in seen:
            seen.append(pair)
            found[name] = pair
    return found


def _alone(graph: Graph, name: str, engine: Engine) -> Runner:
    """Return what runs one layer."""
    node = graph.node(name)
    nodes: Sequence[Node] = (
        Node("data", "Input", (), (_INPUT,), Input(((),))),
        attrs.evolve(node, bottoms=(_INPUT,), tops=(_OUTPUT,)),
    )
    return engine.prepare(graph.replace(nodes), [Value(_OUTPUT)])
