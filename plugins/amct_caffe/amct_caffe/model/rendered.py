"""A network as it will be written: layers, and the blobs that go with them."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt.document import Layer

WeightedLayer = Tuple[str, str, List[NDArray[Any]]]
"""Name, type and blobs of a layer."""


@attrs.frozen
class RenderedNetwork:
    """Layers in execution order, and their blobs by layer name."""

    layers: Tuple[Layer, ...]
    blobs: Dict[str, List[NDArray[Any]]]

    def weighted_layers(self) -> List[WeightedLayer]:
        """Return (name, type, blobs) of each layer that has blobs."""
        return [
            (layer.name, layer.type, self.blobs[layer.name])
            for layer in self.layers
            if layer.name in self.blobs
        ]

    def weighted_layers_in_float32(self) -> Iterator[WeightedLayer]:
        """Yield the same with all blobs in float32, which need memory one layer at a time."""
        for name, kind, blobs in self.weighted_layers():
            yield name, kind, [blob.astype(np.float32, copy=False) for blob in blobs]
