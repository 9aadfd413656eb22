"""How much each layer suffers when it alone is quantized, on float inputs."""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, Iterable, List, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_core.contracts.usage import Usage, shown
from amct_core.errors import AutoCalibrationError
from amct_core.extensions.fallback import Sensitivity
from amct_core.graph import Graph, Node
from amct_core.numerics import affine
from amct_core.ptq.plan import CalibrationGroup, CalibrationPlan
from amct_core.record import LayerRecord, Record

Array = NDArray[Any]


def rank(
    plan: CalibrationPlan,
    record: Record,
    batches: Callable[[CalibrationGroup], Iterable[Array]],
    sensitivity: Sensitivity,
) -> Tuple[Tuple[str, float], ...]:
    """Return the quantized layers with their scores, the most sensitive (lowest) first.

    As in AMCT, a layer runs twice on each batch: in float (with BatchNorm and Scale fused), and
    with fake-quantized weights on the fake-quantized batch; its score is the mean over the batches.
    Equal scores stay in network order.

    Args:
        plan: of the calibration.
        record: what it recorded.
        batches: what a group's layers read, float32.
        sensitivity: what compares the two outputs.

    Raises:
        AutoCalibrationError: there is no batch for a layer, or its score is no number.
    """
    quantized = plan.fake_quantized()
    scores: Dict[str, List[float]] = {name: [] for group in plan.groups for name in group.layers}
    for group in plan.groups:
        for x in batches(group):
            for name in group.layers:
                score = _score(name, x, plan.graph, quantized, record.get(name), sensitivity)
                scores[name].append(score)
    means = {name: _mean(name, scores[name]) for name in _in_network_order(plan.graph, scores)}
    return tuple(sorted(means.items(), key=lambda each: each[1]))


def _score(
    name: str,
    x: Array,
    graph: Graph,
    quantized: Graph,
    entry: LayerRecord,
    sensitivity: Sensitivity,
) -> float:
    assert entry.scale_d is not None
    scale, offset = np.float32(entry.scale_d), int(entry.offset_d or 0)
    q = affine.quantize(x, affine.quant_scale(scale), offset)
    reference = _output(graph.node(name), x)
    other = _output(quantized.node(name), affine.dequantize(q, offset, scale))
    with Usage(sensitivity, name).running("compare"):
        score = sensitivity.compare(reference, other)
        if not _is_number(score):
            raise AutoCalibrationError(
                f"compare returned {shown(score)}; expected a number.",
                layer=name,
                field="sensitivity",
                remedy="Correct the sensitivity.",
            )
    return float(score)


def _output(node: Node, x: Array) -> Array:
    run = node.type.run
    assert run is not None  # of every quantizable type
    output: Array = run(node, [np.asarray(x, np.float32)])[0]
    return output


def _is_number(value: object) -> bool:
    try:
        return not math.isnan(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _mean(name: str, scores: List[float]) -> float:
    if not scores:
        raise AutoCalibrationError(
            f"Can not find dump file for layer {name}: calibration has kept no batch of its input.",
            layer=name,
            remedy="Let the evaluator's calibration run the model that it is given.",
        )
    return math.fsum(scores) / len(scores)


def _in_network_order(graph: Graph, names: Iterable[str]) -> List[str]:
    wanted = set(names)
    return [node.name for node in graph.nodes if node.name in wanted]
