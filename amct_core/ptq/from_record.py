"""Makes the integers of a :class:`QuantizedModel` from float weights and the factors of a record.

A layer is quantized if its entry has factors.  Weights are quantized with the recorded ``scale_w``,
which fit the fused layer where something was fused into it.
"""

from __future__ import annotations

import logging
from typing import Dict, Mapping, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.contracts.weights import checked_integers
from amct_core.errors import QuantizationError, RecordError
from amct_core.extensions import Quantization, WeightAlgorithm
from amct_core.graph import Graph, Node
from amct_core.numerics import affine
from amct_core.numerics import bias as bias_numerics
from amct_core.quantized_model import Provenance, QuantizedLayer, QuantizedModel
from amct_core.record import LayerRecord, Record

_log = logging.getLogger("amct_core.ptq")


def quantized_model(
    graph: Graph,
    record: Record,
    algorithms: Mapping[str, WeightAlgorithm],
    record_file: str,
) -> QuantizedModel:
    """Return the network with the layers of ``record`` in integers.

    Args:
        graph: the network after fusion, with float32 weights.
        record: complete (:func:`check_factors`) for each entry that has any factor.
        algorithms: by layer, what quantizes its weights once their scales are known.
        record_file: for messages.

    Raises:
        RecordError: factors are missing, or do not fit the layer.
        QuantizationError: numbers that cannot be quantized.
    """
    model, refused = possible_model(graph, record, algorithms, record_file)
    if refused:
        raise next(iter(refused.values()))
    return model


def possible_model(
    graph: Graph,
    record: Record,
    algorithms: Mapping[str, WeightAlgorithm],
    record_file: str,
) -> Tuple[QuantizedModel, Mapping[str, QuantizationError]]:
    """Return what :func:`quantized_model` returns, with those layers in float that it refuses.

    Returns:
        The model, and by layer why it is not quantized.

    Raises:
        RecordError: factors are missing, or do not fit the layer.
    """
    layers = []
    refused: Dict[str, QuantizationError] = {}
    for node in graph.nodes:
        entry = record.find(node.name)
        if entry is None or not has_factors(entry):
            continue
        check_factors(node, entry, record_file)
        try:
            layers.append(_layer(node, entry, algorithms.get(node.name)))
        except QuantizationError as error:
            refused[node.name] = error.at(file=record_file, layer=node.name)
            refused[node.name].__cause__ = error
    return QuantizedModel(graph, tuple(layers)), refused


def has_factors(entry: LayerRecord) -> bool:
    """Return whether an entry says more than that nothing is fused with its layer."""
    return entry.scale_d is not None or bool(entry.scale_w)


def check_factors(node: Node, entry: LayerRecord, file: str) -> None:
    """Check that ``entry`` has what quantizing the layer ``node`` takes.

    Raises:
        RecordError: a factor is missing, or there are more or fewer scales than the layer takes.
    """
    for field in ("scale_d", "offset_d"):
        if getattr(entry, field) is None:
            raise RecordError(
                f"cannot find {field} of layer {node.name} in record_file, please check data "
                "calibration process!",
                file=file,
                layer=node.name,
                field=field,
                remedy="Calibrate again, or complete the entry.",
            )
    found, quantization = len(entry.scale_w), node.type.quantization
    axes = node.type.weights
    if axes is None:
        if any(scale != 1.0 for scale in entry.scale_w):
            raise _misfit(node, file, f"it has {found} values; the layer has no weights.")
        return
    channels = node.weights[0].shape[axes.output]
    if found not in (1, channels):
        raise _misfit(
            node, file, f"there are {found} values; expected 1, or {channels}: one per channel."
        )
    if found > 1 and quantization is not None and not quantization.allows_channel_wise(node):
        raise _misfit(
            node, file, f"there are {found} values; expected 1: {node.op} is not channel-wise."
        )


def _misfit(node: Node, file: str, problem: str) -> RecordError:
    return RecordError(
        problem,
        file=file,
        layer=node.name,
        field="scale_w",
        remedy="Give the record that was made for this network.",
    )


def _layer(node: Node, entry: LayerRecord, algorithm: Optional[WeightAlgorithm]) -> QuantizedLayer:
    scale_d = np.float32(entry.scale_d)
    scale_w, weights, bias = _weights(node, entry, algorithm)
    quantization = node.type.quantization
    assert quantization is not None
    divisor = quantization.divisor(node) if quantization.divisor is not None else 1
    if scale_w is None:
        deq_scale = np.asarray([np.float32(float(scale_d) / divisor)], np.float32)
    else:
        deq_scale = np.asarray(scale_d * scale_w, np.float32)
    return QuantizedLayer(
        name=node.name,
        op=node.op,
        input_value=node.inputs[0],
        quant_scale=affine.quant_scale(scale_d),
        offset=int(entry.offset_d or 0),
        weights=weights,
        bias=None if bias is None else bias_numerics.quantize(bias, deq_scale),
        deq_scale=deq_scale,
        shift_n=_shift(node, entry, quantization, len(deq_scale)),
        divisor=divisor,
        input_shape=_input_shape(entry),
        provenance=Provenance(scale_d, scale_w),
    )


def _weights(
    node: Node, entry: LayerRecord, algorithm: Optional[WeightAlgorithm]
) -> Tuple[
    Optional[NDArray[np.float32]], Optional[NDArray[np.int8]], Optional[NDArray[np.float32]]
]:
    """Return the weights' scales, the int8 weights and the float bias."""
    if node.type.weights is None:
        return None, None, None
    assert algorithm is not None
    scale_w = np.asarray(entry.scale_w, np.float32)
    axis = node.type.weights.output if len(scale_w) > 1 else None
    weights = checked_integers(
        algorithm, np.asarray(node.weights[0], np.float32), scale_w, axis, node.name
    )
    bias = np.asarray(node.weights[1], np.float32) if len(node.weights) > 1 else None
    return scale_w, weights, bias


def _shift(
    node: Node, entry: LayerRecord, quantization: Quantization, count: int
) -> NDArray[np.uint8]:
    if not any(entry.shift_bit):
        return np.zeros(count, np.uint8)
    if not node.type.has_shift or len(entry.shift_bit) != count:
        raise QuantizationError(
            f"the record has {len(entry.shift_bit)} values of shift_bit for this {node.op}; "
            "expected none.",
            remedy="Remove shift_bit from the entry.",
        )
    _log.warning("layer '%s': the record's shift_bit is kept; AMCT calls it reserved", node.name)
    return np.asarray(entry.shift_bit, np.uint8)


def _input_shape(entry: LayerRecord) -> Optional[Tuple[int, int, int]]:
    if entry.channels is None:
        return None
    return entry.channels, entry.height or 1, entry.width or 1


def with_input_shapes(
    model: QuantizedModel, shapes: Mapping[str, Tuple[int, ...]]
) -> QuantizedModel:
    """Return ``model`` with the shapes of its inputs.

    Args:
        model: whose layers know the shapes of what they read.
        shapes: by blob, batch size first; where only that is known, the rest is what a quantized
            layer that reads the blob has recorded, if one does.
    """
    known = {}
    for blob, shape in shapes.items():
        sample = shape[1:] or _recorded_sample(model, blob)
        if sample:
            known[blob] = (shape[0], *sample)
    return attrs.evolve(model, input_shapes=known)


def _recorded_sample(model: QuantizedModel, blob: str) -> Tuple[int, ...]:
    for layer in model.layers:
        value = layer.input_value
        if value.name == blob and value.version == 0 and layer.input_shape is not None:
            axes = model.graph.node(layer.name).type.weights
            # Of an InnerProduct the record does not tell whether there were four axes or two.
            spatial = axes is None or model.graph.node(layer.name).weights[0].ndim == 4
            return layer.input_shape if spatial else ()
    return ()
