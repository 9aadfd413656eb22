"""Which layer reads what which layer makes, by the rules of ATC's parser.

Source: ``AddBlobsToMap`` and ``AddEdges`` of hicann/ge parser/parser/caffe/caffe_parser.cc.  A top
that is also a bottom of the same layer (an in-place layer) becomes a blob of its own, which layers
further down read instead.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

import attrs

from amct_caffe.model.formats.prototxt.layer import Layer


@attrs.frozen(eq=False)
class Port:
    """One top or bottom of a layer."""

    layer: Layer
    index: int


@attrs.frozen(eq=False)
class Wiring:
    """The edges of a network.

    Attributes:
        makers: by blob, the tops that make it; more than one is a fault.
        readers: by blob, the bottoms that read it.
        bottoms: the blobs that each layer reads, by ``id`` of the layer.
        tops: the blobs that each layer makes, by ``id`` of the layer.
    """

    makers: Dict[str, List[Port]]
    readers: Dict[str, List[Port]]
    bottoms: Dict[int, Tuple[str, ...]]
    tops: Dict[int, Tuple[str, ...]]

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> Wiring:
        """Return the edges between ``layers``."""
        renamed: Dict[str, str] = {}
        wiring = cls({}, {}, {}, {})
        for layer in layers:
            bottoms = tuple(renamed.get(bottom, bottom) for bottom in layer.bottoms)
            tops = []
            for index, top in enumerate(layer.tops):
                if top in layer.bottoms:
                    renamed[top] = f"{top}_{layer.name}_{index}"
                    top = renamed[top]
                tops.append(top)
                wiring.makers.setdefault(top, []).append(Port(layer, index))
            for index, bottom in enumerate(bottoms):
                wiring.readers.setdefault(bottom, []).append(Port(layer, index))
            wiring.bottoms[id(layer)] = bottoms
            wiring.tops[id(layer)] = tuple(tops)
        return wiring

    def producer(self, layer: Layer, bottom: int = 0) -> Optional[Layer]:
        """Return the layer that makes a bottom of ``layer``; None if none does."""
        bottoms = self.bottoms[id(layer)]
        makers = self.makers.get(bottoms[bottom], []) if bottom < len(bottoms) else []
        return makers[0].layer if makers else None

    def consumers(self, layer: Layer) -> List[Layer]:
        """Return the layers that read a top of ``layer``."""
        return [port.layer for top in self.tops[id(layer)] for port in self.readers.get(top, [])]
