"""What is known of the type of a Caffe layer."""

from __future__ import annotations

import logging
from typing import Optional, Sequence, Tuple

from amct_caffe.model.expected_blob import ExpectedBlob
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_core.contracts.usage import Usage
from amct_core.extensions import LayerType, Role
from amct_core.graph.attributes import Attributes, Data, Opaque
from amct_core.plugins import registries
from amct_core.textproto import Field, Message

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

    1. What its type is declared to be for.
    2. A type of another Caffe that nobody declares is a loss or a score if it is called so
       (``SmoothL1LossOHEM``, ``SegAccuracy``).
    3. A layer without bottoms is data.
    4. A layer without weights whose loss weight is not zero is a loss.
    5. A layer without tops keeps its bottoms from being outputs.
    """
    role = role_of_type(layer)
    if role is not None:
        return role
    if not layer.bottoms:
        return Role.DATA
    if any(loss_weights(layer)) and not _shows_weights(layer):
        return Role.LOSS
    return None if layer.tops else Role.SINK


def role_of_type(layer: Layer) -> Optional[Role]:
    """Return what the type of ``layer`` is for, whatever its loss weight: rules 1 and 2."""
    known = layer_type(layer)
    if not known.is_known:
        called = (role for word, role in _CALLED.items() if word in layer.type)
        return next(called, None)
    return known.role_of(layer)


_CALLED = {"Loss": Role.LOSS, "Accuracy": Role.SCORE, "Evaluate": Role.SCORE}


def loss_weights(layer: Layer) -> Tuple[float, ...]:
    """Return the loss weight of each top; the objective of training is their weighted sum.

    Where the layer gives none, the first top of a loss type has 1 and all others have 0.  A loss
    without tops in the file gets one from Caffe.  Source: BVLC Caffe, ``Layer::SetLossWeights``,
    ``LossLayer::LayerSetUp``, ``Net::Init``.
    """
    given = layer.message.numbers("loss_weight")
    count = max(len(layer.tops), len(given), 1)
    if not given and role_of_type(layer) is Role.LOSS:
        given = [1.0]
    return (*given, *[0.0] * (count - len(given)))


def attributes_of(layer: Layer) -> Attributes:
    """Return the attributes of ``layer``; Opaque for a type that has none.

    Raises:
        ModelError: a required parameter is missing, or a size is given in a way that Caffe refuses.
    """
    known = layer_type(layer)
    if known.attributes is not None:
        with Usage(known, layer.name).running("attributes", tells_itself=True):
            return known.attributes(layer)
    return Data() if role_of(layer) is Role.DATA else Opaque()


def expected_blobs(layer: Layer) -> Optional[Sequence[ExpectedBlob]]:
    """Return what Caffe's own blobs of ``layer`` look like; None where that is not known."""
    rule = layer_type(layer).blobs
    return None if rule is None else rule(layer)


def needs_weights(layer: Layer) -> bool:
    """Return whether ``layer`` cannot work without weights of its own."""
    return bool(expected_blobs(layer))


def has_weights(layer: Layer) -> bool:
    """Return whether ``layer`` has weights of its own, as far as type and prototxt tell.

    Of a type whose blobs are not declared, one that tells the solver about its blobs (``param``),
    or whose parameters fill them or count outputs, has weights.
    """
    return layer_type(layer).weights is not None or _shows_weights(layer)


def _shows_weights(layer: Layer) -> bool:
    """Return whether the prototxt shows that ``layer`` has weights.

    A plugin that declares weights of a type such as Python means some layers of the type.
    """
    if layer_type(layer).blobs is not None:
        return needs_weights(layer)
    if not layer.bottoms:
        return role_of_type(layer) is Role.PARAMETER
    return bool(layer.param_specs) or any(_describes_blobs(each) for each in layer.message)


def _describes_blobs(field: Field) -> bool:
    return isinstance(field.value, Message) and any(
        each.name == "num_output" or each.name.endswith("_filler") for each in field.value
    )
