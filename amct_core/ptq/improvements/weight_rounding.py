"""Rounds weights up or down by what the layer reads, in place of to the nearest integer.

Layer by layer, in network order, with everything upstream quantized and rounded already: a plugin
(:class:`~amct_core.extensions.WeightRounding`) sees what the layer reads, and chooses the integers.
Scales stay as they are, so the record fits as before; the integers are in the saved models alone.

The data are gone through once per layer, and nothing of them is kept here.
"""

from __future__ import annotations

import logging
from typing import Iterable

import attrs
import numpy as np

from amct_core.contracts.preparation import prepare
from amct_core.contracts.roundings import check_rounding
from amct_core.contracts.usage import Usage
from amct_core.errors import QuantizationError
from amct_core.extensions import WeightRounding
from amct_core.numerics import affine
from amct_core.ptq.engine import Array, Batch, Engine
from amct_core.ptq.improvements import unfolding
from amct_core.quantized_model import QuantizedLayer, QuantizedModel

_log = logging.getLogger("amct_core.ptq")


def with_rounding(
    model: QuantizedModel, batches: Iterable[Batch], engine: Engine, rounding: WeightRounding
) -> QuantizedModel:
    """Return ``model`` with other integers for the weights of its layers.

    Args:
        model: the quantized network; the nodes of its graph have the float weights.
        batches: calibration data, such as a list; it is gone through once per layer.
        engine: runs the network.
        rounding: what chooses the integers.

    Raises:
        QuantizationError: there are no batches, or one gives NaN or infinity; names the layer.
        PluginError: the plugin fails, or gives what are no integers beside the weights.
        ModelError: a layer cannot be run.
    """
    prepare(rounding)
    for name in [layer.name for layer in model.layers if layer.weights is not None]:
        reason = unfolding.obstacle(model.graph.node(name))
        if reason is not None:
            _log.info("layer '%s': its weights are rounded to the nearest: %s", name, reason)
            continue
        layer = model.layer(name)
        assert layer is not None
        try:
            integers = _integers(model, layer, batches, engine, rounding)
        except QuantizationError as error:
            raise error.at(layer=name) from error
        model = _with_weights(model, layer, integers)
    return model


def _integers(
    model: QuantizedModel,
    layer: QuantizedLayer,
    batches: Iterable[Batch],
    engine: Engine,
    rounding: WeightRounding,
) -> Array:
    node = model.graph.node(layer.name)
    assert layer.weights is not None and layer.provenance.scale_w is not None
    nearest = unfolding.rows(node, layer.weights)
    usage = Usage(rounding, layer.name)
    rows = unfolding.rows(node, np.asarray(node.weights[0], np.float32))
    with usage.running("start"):
        run = rounding.start(rows, unfolding.row_scales(node, layer.provenance.scale_w), nearest)
    upstream = engine.prepare(model, [layer.input_value])
    for batch in batches:
        x = upstream(batch)[layer.input_value]
        q = affine.quantize(x, layer.quant_scale, layer.offset)
        x_q = affine.dequantize(q, layer.offset, layer.provenance.scale_d)
        # One sample at a time: columns repeat each number once per place of the kernel.
        for sample in range(len(x_q)):
            columns = unfolding.columns(node, x_q[sample : sample + 1])
            with usage.running("observe"):
                run.observe(columns)
    with usage.running("result"):
        found = run.result()
    found = check_rounding(usage, found, nearest)
    _log.info(
        "layer '%s': %d of %d weights are not rounded to the nearest",
        layer.name,
        int(np.count_nonzero(found != nearest)),
        found.size,
    )
    return found.reshape(layer.weights.shape)


def _with_weights(model: QuantizedModel, layer: QuantizedLayer, weights: Array) -> QuantizedModel:
    layers = tuple(
        attrs.evolve(each, weights=weights) if each is layer else each for each in model.layers
    )
    return attrs.evolve(model, layers=layers)
