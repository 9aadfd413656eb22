"""The blob shapes that Caffe gives a layer, as far as they follow from the layer alone.

Sources: ``LayerSetUp`` of BVLC Caffe's base_conv_layer, inner_product_layer, embed_layer,
batch_norm_layer, scale_layer, bias_layer and prelu_layer.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Tuple

import attrs

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_core.textproto import Message

Dim = Optional[int]
"""A size, or None where it depends on the layer's input."""


@attrs.frozen
class ExpectedBlob:
    """What is known about one blob's shape.

    Attributes:
        dims: the leading dimensions; None: any shape.
        side: the size of each further dimension, where there may be any number of them (a
            convolution whose one ``kernel_size`` holds for all spatial axes); None: there are none.
    """

    dims: Optional[Tuple[Dim, ...]]
    side: Dim = None

    def fit(self, shape: Tuple[int, ...]) -> Optional[Tuple[int, ...]]:
        """Return ``shape`` as Caffe has it, or None if it is another one.

        Old files have four dimensions throughout: 1 x 1 x N x K for an InnerProduct's weights,
        1 x 1 x 1 x N for a bias.  Their leading ones go.
        """
        if self.dims is None:
            return shape
        if self.side is None:
            extra = len(shape) - len(self.dims)
            known, rest = shape[max(extra, 0) :], shape[: max(extra, 0)]
            fits = extra >= 0 and all(dim == 1 for dim in rest)
        else:
            known, rest = shape[: len(self.dims)], shape[len(self.dims) :]
            fits = len(known) == len(self.dims) and all(dim == self.side for dim in rest)
        fits = fits and all(own is None or own == dim for own, dim in zip(self.dims, known))
        return (known if self.side is None else shape) if fits else None

    def __str__(self) -> str:
        if self.dims is None:
            return "any shape"
        sizes = ["?" if dim is None else str(dim) for dim in self.dims]
        if self.side is not None:
            sizes += [str(self.side), "..."]
        return " x ".join(sizes) if sizes else "a single value"


def expected_blobs(layer: Layer) -> Optional[List[ExpectedBlob]]:
    """Return what Caffe's own blobs of ``layer`` look like; None for types not known here."""
    rule = _RULES.get(layer.type)
    return rule(layer) if rule is not None else None


def needs_weights(layer: Layer) -> bool:
    """Return whether ``layer`` cannot work without weights of its own."""
    return bool(expected_blobs(layer))


def _convolution(layer: Layer) -> List[ExpectedBlob]:
    parameters = layer.parameters("convolution_param")
    outputs = parameters.integer("num_output")
    group = parameters.integer("group", 1) or 1
    first: Tuple[Dim, ...] = (outputs, None)
    if layer.type == "Deconvolution":
        first = (None, None if outputs is None else outputs // group)
    sizes = parameters.integers("kernel_size")
    sides = (parameters.integer("kernel_h"), parameters.integer("kernel_w"))
    if sides != (None, None):
        weights = ExpectedBlob(first + sides)
    elif len(sizes) == 1:
        weights = ExpectedBlob(first, sizes[0])
    else:
        weights = ExpectedBlob(first + tuple(sizes))
    return [weights, *_bias(parameters, outputs)]


def _inner_product(layer: Layer) -> List[ExpectedBlob]:
    parameters = layer.parameters("inner_product_param")
    outputs = parameters.integer("num_output")
    transposed = parameters.boolean("transpose", False)
    weights = ExpectedBlob((None, outputs) if transposed else (outputs, None))
    return [weights, *_bias(parameters, outputs)]


def _embed(layer: Layer) -> List[ExpectedBlob]:
    parameters = layer.parameters("embed_param")
    outputs = parameters.integer("num_output")
    weights = ExpectedBlob((parameters.integer("input_dim"), outputs))
    return [weights, *_bias(parameters, outputs)]


def _bias(parameters: Message, outputs: Dim) -> List[ExpectedBlob]:
    return [ExpectedBlob((outputs,))] if parameters.boolean("bias_term", True) else []


def _batch_norm(layer: Layer) -> List[ExpectedBlob]:
    return [ExpectedBlob((None,)), ExpectedBlob((None,)), ExpectedBlob((1,))]


def _scale(layer: Layer) -> List[ExpectedBlob]:
    parameters = layer.parameters("scale_param")
    bias = bool(parameters.boolean("bias_term", False))
    if len(layer.bottoms) == 1:
        return [_over_axes(parameters)] * (1 + bias)
    return [ExpectedBlob(None)] * bias


def _added_bias(layer: Layer) -> List[ExpectedBlob]:
    return [_over_axes(layer.parameters("bias_param"))] if len(layer.bottoms) == 1 else []


def _over_axes(parameters: Message) -> ExpectedBlob:
    """Return a blob over ``num_axes`` axes of the input; -1: over all that there are."""
    num_axes = parameters.integer("num_axes", 1)
    if num_axes is None or num_axes < 0:
        return ExpectedBlob(None)
    return ExpectedBlob((None,) * num_axes)


def _prelu(layer: Layer) -> List[ExpectedBlob]:
    shared = layer.parameters("prelu_param").boolean("channel_shared", False)
    return [ExpectedBlob(() if shared else (None,))]


_RULES: Dict[str, Callable[[Layer], List[ExpectedBlob]]] = {
    "BatchNorm": _batch_norm,
    "Bias": _added_bias,
    "Convolution": _convolution,
    "Deconvolution": _convolution,
    "Embed": _embed,
    "InnerProduct": _inner_product,
    "PReLU": _prelu,
    "Scale": _scale,
}
