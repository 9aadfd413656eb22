"""Bias correction: takes away the mean error that quantization leaves in each output channel.

Layer by layer, in network order, with everything upstream quantized and corrected already:

    b_c += E[y_c] - E[y'_c]

where ``y`` is what the layer gives in float, ``y'`` in integers, and the mean is over all samples
and places of the calibration data.  The sum goes into the int32 bias, in units of ``deq_scale``, so
every saved model has it.  A layer without a bias gets one.

A layer whose correction is large is left as it is: where the largest |correction| is
:data:`LARGEST` times the largest magnitude of the layer's means and deviations in float or more,
the calibration data do not show what the layer computes.  The log names such layers.

Only sums are kept, so memory does not grow with the data; the data are gone through once per layer.

Source: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019;
the order of layers and the guard follow NNCF's (full) bias correction.
"""

from __future__ import annotations

import logging
from typing import Iterable, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import QuantizationError
from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import Convolution, InnerProduct
from amct_core.numerics import bias as bias_numerics
from amct_core.ptq.engine import Batch, Engine, Runner
from amct_core.quantized_model import QuantizedLayer, QuantizedModel

_log = logging.getLogger("amct_core.ptq")

LARGEST = 2.0
"""The guard; NNCF leaves a layer, too, whose shift is twice its bias."""


def bias_corrected(
    model: QuantizedModel, reference: Graph, batches: Iterable[Batch], engine: Engine
) -> QuantizedModel:
    """Return ``model`` with corrected biases.

    Args:
        model: the quantized network.
        reference: the network in float, with the same layers; what ``model.graph`` was before.
        batches: calibration data, such as a list; it is gone through once per layer.
        engine: runs both networks.

    Raises:
        QuantizationError: there are no batches, or a batch gives NaN or infinity.
        ModelError: a layer cannot be run.
    """
    for name in [layer.name for layer in model.layers if layer.weights is not None]:
        model = _corrected(model, reference, batches, engine, name)
    return model


def _corrected(
    model: QuantizedModel, reference: Graph, batches: Iterable[Batch], engine: Engine, name: str
) -> QuantizedModel:
    layer = model.layer(name)
    assert layer is not None
    reason = _obstacle(model.graph.node(name))
    if reason is not None:
        _log.warning("layer '%s': its bias is not corrected: %s", name, reason)
        return model
    ours, theirs = (graph.node(name).outputs[0] for graph in (model.graph, reference))
    expected, found = _means(
        (engine.prepare(reference, [theirs]), theirs),
        (engine.prepare(model, [ours]), ours),
        batches,
        name,
    )
    correction = expected.mean - found.mean
    largest = float(np.abs(correction).max(initial=0.0))
    bound = LARGEST * float(np.hypot(expected.mean, expected.deviation).max(initial=0.0))
    if largest >= bound and largest > 0:
        _log.warning(
            "layer '%s': its bias is left as it is: the correction would be up to %.3g, and what "
            "the layer gives is %.3g at most (root mean square of a channel)",
            name,
            largest,
            bound / LARGEST,
        )
        return model
    try:
        return _with_bias(model, layer, correction)
    except QuantizationError as error:
        raise error.at(layer=name) from error


@attrs.frozen(eq=False)
class _Moments:
    """Mean and standard deviation of each channel: float64 ``[C]``."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


def _means(
    expected: Tuple[Runner, Value], found: Tuple[Runner, Value], batches: Iterable[Batch], name: str
) -> Tuple[_Moments, _Moments]:
    sums: Optional[NDArray[np.float64]] = None
    count = 0
    for batch in batches:
        arrays = [runner(batch)[value] for runner, value in (expected, found)]
        each = np.stack([_sums(array) for array in arrays])
        if not np.isfinite(each).all():
            raise QuantizationError(
                "it gives NaN or infinity for the calibration data.",
                layer=name,
                remedy="Look at the data and the weights.",
            )
        sums = each if sums is None else sums + each
        count += arrays[0].size // arrays[0].shape[1]
    if sums is None or not count:
        raise QuantizationError(
            "there are no calibration data; expected one batch at least.", layer=name
        )
    mean, square = sums[:, 0] / count, sums[:, 1] / count
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return _Moments(mean[0], deviation[0]), _Moments(mean[1], deviation[1])


def _sums(array: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the sums of values and squares by channel (axis 1): ``[2, C]``."""
    values = np.moveaxis(array, 1, 0).reshape(array.shape[1], -1)
    wide = values.astype(np.float64)
    return np.stack([wide.sum(axis=1), (wide * wide).sum(axis=1)])


def _obstacle(node: Node) -> Optional[str]:
    attributes = node.attributes
    if not isinstance(attributes, (Convolution, InnerProduct)):
        return f"where {node.op} has a bias is not known"
    return None if attributes.axis == 1 else "its channels are not on axis 1"


def _with_bias(
    model: QuantizedModel, layer: QuantizedLayer, correction: NDArray[np.float64]
) -> QuantizedModel:
    """Return ``model`` with ``correction`` added to the bias of ``layer``; float64 ``[C]``."""
    scale = np.asarray(layer.deq_scale, np.float64)
    before = 0.0 if layer.bias is None else layer.bias * scale
    bias = np.asarray(before + correction, np.float32)
    node = model.graph.node(layer.name)
    weights = (node.weights[0], bias.reshape(node.weights[1].shape) if node.weights[1:] else bias)
    graph = model.graph.replace(
        attrs.evolve(each, weights=weights) if each is node else each for each in model.graph.nodes
    )
    integers = bias_numerics.quantize(bias, layer.deq_scale)
    layers = tuple(
        attrs.evolve(each, bias=integers) if each is layer else each for each in model.layers
    )
    return attrs.evolve(model, graph=graph, layers=layers)
