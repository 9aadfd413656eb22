"""Layers of other Caffes: several of them have layers of one name that compute different things.

A declaration holds for a layer whose parameters are those that the schema knows.  Another field
means another layer, which counts as one that nobody declares.
"""

from __future__ import annotations

from typing import Callable

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.parameters import Parameters


def declared(*fields: str, bottoms: int = 1) -> Callable[[Layer], bool]:
    """Return a rule that tells whether a layer is the one that the schema describes.

    Args:
        fields: its parameter message, under each of the names that Caffes give it.
        bottoms: how many blobs it reads, at most.
    """

    def holds(layer: Layer) -> bool:
        foreign = any(Parameters(layer, field).unknown for field in fields)
        return not foreign and len(layer.bottoms) <= bottoms and len(layer.tops) == 1

    return holds


def given(layer: Layer, *fields: str) -> Parameters:
    """Return the parameters of ``layer`` under whichever of the names it has them, or none."""
    found = [field for field in fields if layer.message.message(field) is not None]
    return Parameters(layer, (*found, *fields)[0])
