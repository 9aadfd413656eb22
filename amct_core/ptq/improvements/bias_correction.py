"""Bias correction: takes away the mean error that quantization leaves in each output channel.

Layer by layer, in network order, with everything upstream quantized and corrected already:

    b_c += E[y_c] - E[y'_c]

where ``y`` is what the layer gives in float, ``y'`` in integers, and the mean is over all samples
and places of the calibration data.  The sum goes into the int32 bias, in units of ``deq_scale``, so
every saved model has it.  A layer without a bias gets one.

A layer whose correction is large is left as it is: where the largest |correction| is
:data:`LARGEST` times the largest magnitude of the layer's means and deviations in float or more,
the calibration data do not show what the layer computes.  The log names such layers.

Only sums are kept, so memory does not grow with the data.  The data are gone through once in float,
and once per layer in integers.

Source: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019;
the order of layers and the guard follow NNCF's (full) bias correction.
"""

from __future__ import annotations

import logging
from typing import Dict, Iterable, Optional, Sequence, Union

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import QuantizationError
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Convolution, InnerProduct
from amct_core.numerics import bias as bias_numerics
from amct_core.ptq.engine import Batch, Engine
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
    names = [layer.name for layer in model.layers if _has_known_bias(model.graph.node(layer.name))]
    expected = _moments(engine, reference, reference, names, batches)
    for name in names:
        model = _corrected(model, expected[name], batches, engine, name)
    return model


def _corrected(
    model: QuantizedModel, expected: _Moments, batches: Iterable[Batch], engine: Engine, name: str
) -> QuantizedModel:
    layer = model.layer(name)
    assert layer is not None
    found = _moments(engine, model, model.graph, [name], batches)[name]
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

    @classmethod
    def of(cls, means: NDArray[np.float64]) -> _Moments:
        """Return them from the means of values and of squares: ``[2, C]``."""
        mean, square = means
        return cls(mean, np.sqrt(np.maximum(square - mean**2, 0)))


def _moments(
    engine: Engine,
    network: Union[Graph, QuantizedModel],
    graph: Graph,
    names: Sequence[str],
    batches: Iterable[Batch],
) -> Dict[str, _Moments]:
    """Return the moments of what layers of ``network``, whose graph is ``graph``, give."""
    values = {name: graph.node(name).outputs[0] for name in names}
    runner = engine.prepare(network, list(values.values()))
    sums: Dict[str, NDArray[np.float64]] = {}
    counts = dict.fromkeys(names, 0)
    for batch in batches:
        arrays = runner(batch)
        for name, value in values.items():
            array = arrays[value]
            sums[name] = sums.get(name, 0.0) + _sums(array)
            counts[name] += array.size // array.shape[1]
    for name in names:
        _check(sums.get(name), counts[name], name)
    return {name: _Moments.of(sums[name] / counts[name]) for name in names}


def _check(sums: Optional[NDArray[np.float64]], count: int, name: str) -> None:
    if sums is None or not count:
        raise QuantizationError(
            "there are no calibration data; expected one batch at least.", layer=name
        )
    if not np.isfinite(sums).all():
        raise QuantizationError(
            "it gives NaN or infinity for the calibration data.",
            layer=name,
            remedy="Look at the data and the weights.",
        )


def _sums(array: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the sums of values and squares by channel (axis 1): ``[2, C]``."""
    values = np.moveaxis(array, 1, 0).reshape(array.shape[1], -1)
    wide = values.astype(np.float64)
    return np.stack([wide.sum(axis=1), (wide * wide).sum(axis=1)])


def _has_known_bias(node: Node) -> bool:
    """Return whether ``node`` has, or can have, a bias per channel of axis 1; log why not."""
    attributes = node.attributes
    if node.type.weights is None:
        return False
    known = isinstance(attributes, (Convolution, InnerProduct)) and attributes.axis == 1
    if not known:
        _log.warning(
            "layer '%s': its bias is not corrected: how one of %s acts on axis 1 is not known",
            node.name,
            node.op,
        )
    return known


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
