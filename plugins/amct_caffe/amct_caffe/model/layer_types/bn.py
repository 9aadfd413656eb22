"""BN: batch normalisation with its scale and shift in one layer.

With four blobs it is PSPNet's: scale, shift, mean and variance, each 1 x C x 1 x 1; it computes
``(x - mean) * (variance + eps) ** -0.5 * scale + shift`` in testing.  With two blobs and
``bn_mode: INFERENCE`` it is SegNet's, whose scale and shift have the statistics in them:
``x * scale + shift``.  SegNet's other mode normalises by the batch, also in testing; such a layer
counts as one that nobody declares.

Sources: yjxiong/caffe and hszhao/PSPNet, bn_layer.cpp; alexgkendall/caffe-segnet, bn_layer.cpp and
compute_bn_statistics.py.
"""

from __future__ import annotations

from typing import List, Sequence, Tuple

import attrs
import numpy as np

from amct_caffe.model.expected_blob import ExpectedBlob
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_types.axes import Array, on_channels
from amct_caffe.model.layer_types.fitting import per_channel
from amct_caffe.model.layer_types.variants import declared
from amct_caffe.model.parameters import Parameters
from amct_core.errors import ModelError
from amct_core.extensions import LayerType, OnnxWriter, same_shape
from amct_core.graph import Node
from amct_core.graph.attributes import Attributes

_AFFINE, _NORMALIZING = 2, 4
"""Numbers of blobs."""


@attrs.frozen
class BN(Attributes):
    """Normalisation by stored statistics, or with ``affine`` scale and shift alone."""

    eps: float
    affine: bool

    @property
    def blobs(self) -> int:
        """How many blobs the layer has."""
        return _AFFINE if self.affine else _NORMALIZING


_INFERENCE = ("INFERENCE", "1")
_SEGNETS = ("bn_mode", "scale_filler", "shift_filler")


def _read(layer: Layer) -> BN:
    parameters = Parameters(layer, "bn_param")
    return BN(parameters.number("eps"), affine=parameters.has("bn_mode"))


def _is_bn(layer: Layer) -> bool:
    parameters = Parameters(layer, "bn_param")
    if not declared("bn_param")(layer):
        return False
    # Other values of the enum are other Caffes' modes.
    return not parameters.has(*_SEGNETS) or parameters.message.enum("bn_mode") in _INFERENCE


def _blobs(layer: Layer) -> List[ExpectedBlob]:
    return [ExpectedBlob(None)] * _read(layer).blobs


def bn(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the input, normalised, scaled and shifted; the root is libm's in Caffe."""
    x = inputs[0]
    scale, shift, *statistics = _channels(node, x.ndim)
    if statistics:
        mean, factor = statistics
        x = (x - mean) * factor
    return [x * scale + shift]


def _channels(node: Node, ndim: int) -> Tuple[Array, ...]:
    """Return scale, shift and, if there are statistics, mean and one over the deviation.

    Raises:
        ModelError: there are more or fewer blobs.
    """
    a = node.typed(BN)
    if len(node.weights) != a.blobs:
        raise ModelError(
            f"the weights file has {len(node.weights)} blobs for it; expected {a.blobs}.",
            layer=node.name,
            remedy="Give the weights of this network. SegNet's BN has two of them and says "
            "bn_mode: INFERENCE.",
        )
    blobs = [on_channels(np.asarray(blob, np.float32).reshape(-1), ndim) for blob in node.weights]
    if a.affine:
        return tuple(blobs)
    scale, shift, mean, variance = blobs
    deviation = np.sqrt(variance.astype(np.float64) + a.eps)
    return scale, shift, mean, (1 / deviation).astype(np.float32)


def _onnx(writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """BatchNormalization, which takes the statistics as they are; an affine layer has none."""
    a, rank = node.typed(BN), len(writer.shape(node, node.inputs[0]))
    scale, shift, *_ = _channels(node, rank)
    if a.affine:
        scaled = writer.add("Mul", [*inputs, writer.constant(scale, np.float32)])
        writer.add("Add", [scaled, writer.constant(shift, np.float32)], outputs[0])
        return
    blobs = [writer.constant(blob.reshape(-1), np.float32) for blob in node.weights]
    writer.add("BatchNormalization", [*inputs, *blobs], outputs[0], epsilon=float(a.eps))


LAYER_TYPES = (
    LayerType(
        "BN",
        parameters="bn_param",
        holds_for=_is_bn,
        attributes=_read,
        blobs=_blobs,
        shape=same_shape,
        check_inputs=per_channel,
        run=bn,
        exact=False,
        by_sample=True,
        onnx=_onnx,
    ),
)
