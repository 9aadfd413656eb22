"""Reads the typed parameters of Caffe layers, Caffe's defaults and short forms resolved.

One file per family of layers, as in :mod:`amct_core.graph.attributes`.
"""

from __future__ import annotations

from typing import Dict, Optional

from amct_caffe.model.attributes import boundary, layout, pointwise, regions, weighted
from amct_caffe.model.attributes.reader import Reader
from amct_caffe.model.data_shapes import data_shapes
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.to_inference import is_data
from amct_core.graph.attributes import Attributes, Data, Opaque

_READERS: Dict[str, Reader] = {
    **boundary.READERS,
    **layout.READERS,
    **pointwise.READERS,
    **regions.READERS,
    **weighted.READERS,
}


def attributes_of(layer: Layer, spatial_axes: Optional[int] = None) -> Attributes:
    """Return the attributes of ``layer``; Opaque for a type that core has no use for.

    Args:
        layer: the layer.
        spatial_axes: over how many axes a convolution works, where that is known from its weights;
            None: over as many as it has kernel sizes, and two if it has one.

    Raises:
        ModelError: a required parameter is missing, or a size is given in a way that Caffe refuses.
    """
    if layer.type in ("Convolution", "Deconvolution"):
        return weighted.convolution(layer, spatial_axes)
    read = _READERS.get(layer.type)
    if read is not None:
        return read(layer)
    if is_data(layer):
        return Data(data_shapes(layer))
    return Opaque()


__all__ = ["attributes_of"]
