"""What is known of the type of a Caffe layer."""

from __future__ import annotations

import logging
from typing import Optional, Sequence

from amct_caffe.model.expected_blob import ExpectedBlob
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_core.extensions import LayerType, Role
from amct_core.graph.attributes import Attributes, Data, Opaque
from amct_core.plugins import registries

_log = logging.getLogger("amct_caffe.model")


def layer_type(layer: Layer) -> LayerType:
    """Return what is known of the type of ``layer``; nothing, if nobody declares it.

    Nor is anything known where the declaration is of another layer of the same name.
    """
    known = registries().layer_type(layer.type)
    if known.holds_for is not None and not known.holds_for(layer):
        _log.debug("layer '%s' is another Caffe's %s than the one we know", layer.name, layer.type)
        return LayerType(layer.type)
    return known


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
