"""What is known of the type of a Caffe layer."""

from __future__ import annotations

from typing import Optional, Sequence

from amct_caffe.model.expected_blob import ExpectedBlob
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_core.extensions import LayerType, Role
from amct_core.graph.attributes import Attributes, Data, Opaque
from amct_core.plugins import registries


def layer_type(layer: Layer) -> LayerType:
    """Return what is known of the type of ``layer``; nothing, if nobody declares it."""
    return registries().layer_type(layer.type)


def role_of(layer: Layer) -> Optional[Role]:
    """Return what ``layer`` is for, if it does not compute features.

    A type of another Caffe that nobody declares is a loss if it is called so.
    """
    known = layer_type(layer)
    if not known.is_known and layer.type.endswith("Loss"):
        return Role.LOSS
    return known.role_of(layer)


def attributes_of(layer: Layer) -> Attributes:
    """Return the attributes of ``layer``; Opaque for a type that has none.

    Raises:
        ModelError: a required parameter is missing, or a size is given in a way that Caffe refuses.
    """
    read = layer_type(layer).attributes
    if read is not None:
        return read(layer)
    return Data() if role_of(layer) is Role.DATA else Opaque()


def expected_blobs(layer: Layer) -> Optional[Sequence[ExpectedBlob]]:
    """Return what Caffe's own blobs of ``layer`` look like; None where that is not known."""
    rule = layer_type(layer).blobs
    return None if rule is None else rule(layer)


def needs_weights(layer: Layer) -> bool:
    """Return whether ``layer`` cannot work without weights of its own."""
    return bool(expected_blobs(layer))
