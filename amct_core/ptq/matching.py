"""Checks that a record belongs to the weights and the configuration that it is used with.

``scale_w`` follows from the fused weights and the configuration alone, so saving finds it a second
time.  What it finds differs if the weights are others, if other layers are fused (``do_fusion``),
or if ``channel_wise`` has changed.  Equal scales prove less: weights whose largest magnitudes are
the same are not told apart.

Scales agree that differ by no more than :data:`TOLERANCE`, relative: the record may have been made
on another machine, or by AMCT, whose fusion rounds in another order.

A record of a user's own (:func:`warn_of_misfits`) may have other scales on purpose, such as those
of an algorithm that clips.  There, ``max|w| / scale_w`` counts, which is 127 or 128 where the scale
follows the largest magnitude.  Below 64 at least one of eight bits is never used, above 255 the
largest weights are clipped to less than half.
"""

from __future__ import annotations

import logging
from typing import Any, List, Mapping, Optional, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_core.config.ptq import PtqConfig
from amct_core.contracts.weights import checked_scales
from amct_core.errors import QuantizationError, RecordError
from amct_core.extensions import WeightAlgorithm
from amct_core.graph import Graph, Node
from amct_core.numerics.affine import FLT_EPSILON, QUANT_MIN
from amct_core.numerics.arrays import channel_rows
from amct_core.record import LayerRecord, Record

_log = logging.getLogger("amct_core.ptq")

TOLERANCE = 1e-4
"""Largest relative difference of two scales that are the same."""

_FEWEST_STEPS, _MOST_STEPS = 64, 255
_ZERO = -QUANT_MIN * FLT_EPSILON  # of smaller weights the scale is 1, and the integers are 0
_REMEDY = "Give the weights and the config of the calibration, or calibrate again."
_EQUALIZED = (
    "The record of an equalized network fits the equalized weights alone, which 'amct ptq run' has "
    "saved."
)


def check_matches(
    record: Record,
    graph: Graph,
    config: PtqConfig,
    algorithms: Mapping[str, WeightAlgorithm],
    file: str,
) -> None:
    """Check that ``record`` was made for the weights of ``graph`` and for ``config``.

    Args:
        record: complete.
        graph: the network after fusion.
        config: the configuration.
        algorithms: by layer, what has found the scales of its weights.
        file: the record, for messages.

    Raises:
        RecordError: naming the layer, what is recorded, and what it should be.
    """
    for node in graph.nodes:
        layer = config.enabled.get(node.name)
        if layer is None:
            continue
        entry = record.get(node.name)
        if layer.weight is not None and node.type.weights is not None:
            axis = node.type.weights.output if layer.weight.channel_wise else None
            _check_scales(node, entry, algorithms[node.name], axis, file)
        if not config.activation_offset and entry.offset_d:
            raise _misfit(
                file,
                node.name,
                "offset_d",
                f"it is {entry.offset_d}; expected 0, as activation_offset is false in the config.",
            )
    offsets = [record.get(name).offset_d for name in config.enabled]
    if config.activation_offset and len(offsets) > 1 and not any(offsets):
        _log.warning(
            "'%s': every offset_d is 0, as after a calibration with activation_offset false; in "
            "the config it is true",
            file,
        )


def _check_scales(
    node: Node, entry: LayerRecord, algorithm: WeightAlgorithm, axis: Optional[int], file: str
) -> None:
    try:
        expected = checked_scales(algorithm, _weights(node), axis, node.name)
    except QuantizationError as error:
        raise error.at(layer=node.name) from error
    found = np.asarray(entry.scale_w, np.float32)
    if found.shape != expected.shape:
        raise _misfit(
            file,
            node.name,
            "scale_w",
            f"there are {found.size} values; expected {expected.size}, by channel_wise in the "
            "config.",
        )
    wrong = np.flatnonzero(~np.isclose(found, expected, rtol=TOLERANCE, atol=0))
    if wrong.size:
        first = int(wrong[0])
        channel = f" of channel {first}" if expected.size > 1 else ""
        raise _misfit(
            file,
            node.name,
            "scale_w",
            f"the recorded scale{channel} is {found[first]:.6g}; that of the weights, fused as the "
            f"config says, is {expected[first]:.6g} ({wrong.size} of {expected.size} scales "
            "differ). The record belongs to other weights, or to another config.",
            f"{_REMEDY} {_EQUALIZED}",
        )


def _misfit(file: str, layer: str, field: str, problem: str, remedy: str = _REMEDY) -> RecordError:
    return RecordError(problem, file=file, layer=layer, field=field, remedy=remedy)


def warn_of_misfits(record: Record, graph: Graph, file: str) -> Tuple[str, ...]:
    """Warn of layers whose scales do not suit their weights; return their names.

    It is a layer whose median of ``max|w| / scale_w`` over the channels is below 64 or above 255.
    Channels of zeros, whose scale is 1, do not count.

    Args:
        record: of the user's own; its factors fit the layers in number.
        graph: the network after fusion.
        file: the record, for messages.
    """
    found: List[Tuple[str, float]] = []
    for node in graph.nodes:
        entry = record.find(node.name)
        if entry is None or not entry.scale_w or node.type.weights is None:
            continue
        steps = _median_steps(node, np.asarray(entry.scale_w, np.float32))
        if steps is not None and not _FEWEST_STEPS <= steps <= _MOST_STEPS:
            found.append((node.name, steps))
    if found:
        name, steps = found[0]
        _log.warning(
            "'%s': the scales of %d layers do not suit their weights: the largest magnitude is "
            "%.4g steps of scale_w in layer '%s', where int8 holds 127; above %d large weights are "
            "clipped, below %d most of int8 is unused; does the record belong to these weights?",
            file,
            len(found),
            steps,
            name,
            _MOST_STEPS,
            _FEWEST_STEPS,
        )
    return tuple(name for name, _ in found)


def _median_steps(node: Node, scales: NDArray[np.float32]) -> Optional[float]:
    assert node.type.weights is not None
    rows = channel_rows(_weights(node), node.type.weights.output if scales.size > 1 else None)
    largest = np.maximum(rows.max(axis=1), -rows.min(axis=1)).astype(np.float64)
    used = largest > _ZERO
    return float(np.median(largest[used] / scales[used])) if used.any() else None


def _weights(node: Node) -> NDArray[Any]:
    return np.asarray(node.weights[0], np.float32)
