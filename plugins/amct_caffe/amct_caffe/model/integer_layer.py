"""The quantized layer itself, as a Caffe layer: only its blobs differ between the saved models."""

from __future__ import annotations

from typing import Optional

from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.model.layer_type import layer_type
from amct_caffe.model.schema.pool import message_descriptor
from amct_core.lowering import IntegerStep
from amct_core.textproto import Message


def integer_layer(step: IntegerStep, bias_term: bool) -> Layer:
    """Return the layer of ``step`` between Quant and DeQuant.

    Parameter specs go: integers are not trained, and layers that shared float weights by name need
    not share integers.

    Args:
        step: which layer, and the blobs it reads and writes.
        bias_term: whether the layer has a bias of its own.
    """
    layer = plain_layer(step.node.source)
    layer.bottoms = [step.bottom]
    layer.tops = [step.top]
    layer.param_specs = []
    if step.layer.weights is not None:
        set_bias_term(layer, bias_term)
    return layer


def plain_layer(source: Layer) -> Layer:
    """Return a copy of ``source``, written as the layer that computes the same for most tools."""
    replace = layer_type(source).plain_layer
    copied: Layer = source.copy() if replace is None else replace(source)
    return copied


def set_bias_term(layer: Layer, bias_term: bool) -> None:
    """Say in the parameters of ``layer`` whether it has a bias.

    A type without such a parameter says it by its blobs alone.
    """
    field = _message_with_bias_term(layer)
    if field is None:
        return
    message = layer.message.message(field)
    if message is None:
        message = Message()
        layer.message.set(field, message)
    message.set("bias_term", bias_term)


def _message_with_bias_term(layer: Layer) -> Optional[str]:
    """Return the field of the parameters that have ``bias_term``, by the schema or the layer."""
    own, known = layer_type(layer).parameters, message_descriptor("LayerParameter").fields_by_name
    if own in known and "bias_term" in known[own].message_type.fields_by_name:
        return own
    for entry in layer.message.entries:
        if isinstance(entry.value, Message) and entry.value.has("bias_term"):
            return entry.name
    return None
