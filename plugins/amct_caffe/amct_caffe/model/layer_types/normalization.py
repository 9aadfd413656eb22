"""Normalisation layers.

Source: ``LayerSetUp`` and ``Forward_cpu`` of BVLC Caffe's batch_norm_layer, lrn_layer and
mvn_layer.
"""

from __future__ import annotations

from typing import List, Sequence, Tuple

import attrs
import numpy as np

from amct_caffe.model.expected_blob import ExpectedBlob
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_types.axes import Array, Outputs, Shapes, on_channels
from amct_caffe.model.layer_types.fitting import axes, channels, image, misfit
from amct_caffe.model.layer_types.lrn import across_channels, within_channel
from amct_caffe.model.parameters import Parameters
from amct_core.errors import ModelError
from amct_core.extensions import LayerType, OnnxWriter, Sign, same_shape
from amct_core.folding import batch_norm_of
from amct_core.graph import Node
from amct_core.graph.attributes import Attributes, BatchNorm

_LARGEST_REGION = 2**15 - 1
"""So many channels, or pixels of a side, are more than any network has."""


@attrs.frozen
class LRN(Attributes):
    """Local response normalisation; ``region`` is ``ACROSS_CHANNELS`` or ``WITHIN_CHANNEL``."""

    local_size: int
    alpha: float
    beta: float
    k: float
    region: str


@attrs.frozen
class MVN(Attributes):
    """Mean and variance normalisation of each channel, or of all channels of an image together."""

    normalize_variance: bool
    across_channels: bool
    eps: float


def _read_batch_norm(layer: Layer) -> BatchNorm:
    parameters = Parameters(layer, "batch_norm_param")
    # Caffe's default depends on the phase, so "not said" is a value of its own.
    use_global_stats = parameters.message.boolean("use_global_stats")
    return BatchNorm(parameters.number("eps"), use_global_stats)


def _batch_norm_blobs(layer: Layer) -> List[ExpectedBlob]:
    return [ExpectedBlob((None,)), ExpectedBlob((None,)), ExpectedBlob((1,))]


def _read_lrn(layer: Layer) -> LRN:
    parameters = Parameters(layer, "lrn_param")
    return LRN(
        local_size=parameters.integer("local_size"),
        alpha=parameters.number("alpha"),
        beta=parameters.number("beta"),
        k=parameters.number("k"),
        region=parameters.enum("norm_region"),
    )


def _read_mvn(layer: Layer) -> MVN:
    parameters = Parameters(layer, "mvn_param")
    return MVN(
        normalize_variance=parameters.boolean("normalize_variance"),
        across_channels=parameters.boolean("across_channels"),
        eps=parameters.number("eps"),
    )


def _check_batch_norm(node: Node, inputs: Shapes) -> None:
    channels(node, inputs)
    for blob in node.weights[:2]:
        if blob.size != inputs[0][1]:
            raise misfit(
                node, inputs[0], f"has {inputs[0][1]} channels; its statistics are for {blob.size}"
            )


def _check_lrn(node: Node, inputs: Shapes) -> None:
    image(node, inputs)
    size = node.typed(LRN).local_size
    if size < 1 or size % 2 == 0 or size > _LARGEST_REGION:
        raise ModelError(
            f"it is {size}; expected an odd number up to {_LARGEST_REGION}.",
            layer=node.name,
            field="lrn_param.local_size",
            remedy="Correct it.",
        )


def _mvn_shape(node: Node, inputs: Shapes) -> Outputs:
    """Return the input's shape with sizes of 1 behind it, as Caffe's MVN makes it."""
    return [inputs[0] + (1,) * (4 - len(inputs[0]))]


def batch_norm(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``(x - mean) / sqrt(variance + eps)`` with stored statistics, or the batch's own."""
    a = node.typed(BatchNorm)
    x = inputs[0]
    along = (1, -1) + (1,) * (x.ndim - 2)
    if has_stored_statistics(node):
        mean, variance = _stored_statistics(node)
        centered = x - mean.reshape(along)
    else:
        others = (0, *range(2, x.ndim))
        centered = x - _mean(x, others).reshape(along)
        variance = _mean(np.square(centered), others)
    deviation = np.sqrt(variance + np.float32(a.eps))
    return [centered / deviation.reshape(along)]


def has_stored_statistics(node: Node) -> bool:
    """Return whether a BatchNorm uses stored statistics, as it does by default in testing."""
    return node.typed(BatchNorm).use_global_stats is not False


def _stored_statistics(node: Node) -> Tuple[Array, Array]:
    mean, variance, factor = (np.asarray(blob, np.float32) for blob in node.weights)
    divisor = factor.reshape(-1)[0]
    common = np.float32(0) if divisor == 0 else np.float32(1) / divisor
    return mean * common, variance * common


def lrn(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``x`` divided by a power of the mean square around it: see :mod:`.lrn`."""
    a = node.typed(LRN)
    if a.region == "ACROSS_CHANNELS":
        return [across_channels(inputs[0], a.local_size, a.alpha, a.beta, a.k)]
    return [within_channel(inputs[0], a.local_size, a.alpha, a.beta)]


def mvn(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``x - mean``, divided by ``sqrt(variance) + eps`` if that is asked for."""
    a = node.typed(MVN)
    # Caffe's layer has four axes whatever it is given.
    x = inputs[0].reshape(inputs[0].shape + (1,) * (4 - inputs[0].ndim))
    along = (1, 2, 3) if a.across_channels else (2, 3)
    centered = x - _mean(x, along, keepdims=True)
    if not a.normalize_variance:
        return [centered]
    variance = _mean(np.square(centered), along, keepdims=True)
    return [centered / (np.sqrt(variance) + np.float32(a.eps))]


def _mean(x: Array, axes: Tuple[int, ...], keepdims: bool = False) -> Array:
    return np.asarray(x.mean(axis=axes, dtype=np.float64, keepdims=keepdims).astype(np.float32))


def _batch_norm_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    """``(x - mean) / deviation``, in Caffe's order."""
    batch_norm_of(node)  # which says what is missing, if something is
    mean, variance = _stored_statistics(node)
    deviation = np.sqrt(variance + np.float32(node.typed(BatchNorm).eps))
    rank = len(writer.shape(node, node.inputs[0]))
    constants = [writer.constant(on_channels(each, rank), np.float32) for each in (mean, deviation)]
    centered = writer.add("Sub", [*inputs, constants[0]])
    writer.add("Div", [centered, constants[1]], outputs[0])


def _lrn_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    a = node.typed(LRN)
    if a.region != "ACROSS_CHANNELS":
        _lrn_within_onnx(writer, a, inputs[0], outputs[0])
        return
    factors = {"alpha": float(a.alpha), "beta": float(a.beta), "bias": float(a.k)}
    writer.add("LRN", inputs, outputs[0], size=a.local_size, **factors)


def _lrn_within_onnx(writer: OnnxWriter, a: LRN, x: str, output: str) -> None:
    """Squares, their mean over each window, padding counted, and a power: as Caffe composes it."""
    size = a.local_size
    means = writer.add(
        "AveragePool",
        [writer.add("Mul", [x, x])],
        kernel_shape=[size, size],
        pads=[size // 2] * 4,
        count_include_pad=1,
    )
    scaled = writer.add("Mul", [means, writer.constant(a.alpha, np.float32)])
    base = writer.add("Add", [scaled, writer.constant(1, np.float32)])
    factor = writer.add("Pow", [base, writer.constant(-a.beta, np.float32)])
    writer.add("Mul", [x, factor], output)


LAYER_TYPES = (
    LayerType(
        "BatchNorm",
        parameters="batch_norm_param",
        attributes=_read_batch_norm,
        blobs=_batch_norm_blobs,
        inputs=(1, 1),
        shape=same_shape,
        check_inputs=_check_batch_norm,
        run=batch_norm,
        exact=has_stored_statistics,
        onnx=_batch_norm_onnx,
    ),
    LayerType(
        "LRN",
        attributes=_read_lrn,
        inputs=(1, 1),
        shape=same_shape,
        check_inputs=_check_lrn,
        sign=Sign.KEPT,
        run=lrn,
        depends_on_libraries=True,
        by_sample=True,
        onnx=_lrn_onnx,
    ),
    # A BLAS orders its sums.
    LayerType(
        "MVN",
        attributes=_read_mvn,
        inputs=(1, 1),
        shape=_mvn_shape,
        check_inputs=axes(1, 4),
        keeps_channels=True,
        run=mvn,
        exact=False,
    ),
)
