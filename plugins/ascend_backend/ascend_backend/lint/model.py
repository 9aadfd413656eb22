"""A Caffe model as ATC's parser sees it: nothing upgraded, nothing repaired, nothing refused."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import attrs
from numpy.typing import NDArray

from amct_caffe.model.formats.caffemodel.blobs import StoredBlob
from amct_caffe.model.formats.caffemodel.scan import StoredLayer
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_core.errors import ModelError
from amct_core.textproto import Message
from ascend_backend.lint.linking import LinkedLayer, link
from ascend_backend.lint.weights_file import WeightsFile
from ascend_backend.lint.wiring import Wiring
from ascend_backend.targets import Target


@attrs.frozen(eq=False)
class DeployModel:
    """A prototxt and its weights file.

    Attributes:
        net: the prototxt, all fields.
        declared: its ``layer`` entries, in order.
        layers: those that ATC keeps, and an ``Input`` for each net-level ``input`` behind them;
            without ``taken_out``.
        weights: the weights file.
        target: the processor it is meant for, if that is known.
        file: path of the prototxt.
        taken_out: layers of AMCT's layout that have to go before ATC takes the model; they are in
            ``declared``, and what takes their place is in ``layers``.
        mixed: why the two files cannot have been saved together, if that is known.
        wiring: which layer reads what which layer makes.
        linked: what ATC links to the operator of each of ``layers``.
    """

    net: Message
    declared: Tuple[Layer, ...]
    layers: Tuple[Layer, ...]
    weights: WeightsFile
    target: Optional[Target] = None
    file: str = ""
    taken_out: Tuple[Layer, ...] = ()
    mixed: Optional[ModelError] = None
    wiring: Wiring = attrs.field(init=False)
    linked: Tuple[LinkedLayer, ...] = attrs.field(init=False)
    _stored: Dict[str, StoredLayer] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "wiring", Wiring.of(self.layers))
        object.__setattr__(self, "linked", link(self.layers, self.weights.layers))
        stored: Dict[str, StoredLayer] = {}
        for layer in self.weights.layers:
            stored.setdefault(layer.name, layer)
        object.__setattr__(self, "_stored", stored)

    def stored(self, layer: Layer) -> Optional[StoredLayer]:
        """Return the first entry of the weights file that has the name of ``layer``."""
        return self._stored.get(layer.name)

    def blobs(self, layer: Layer) -> Tuple[StoredBlob, ...]:
        """Return the blobs of ``layer`` in the weights file."""
        stored = self.stored(layer)
        return stored.blobs if stored is not None else ()

    def of_type(self, *types: str) -> List[Layer]:
        """Return the layers of these types."""
        return [layer for layer in self.layers if layer.type in types]

    def words(self, dequant: Layer) -> Optional[NDArray[Any]]:
        """Return the uint64 words of a DeQuant layer; None if it has none."""
        blobs = self.blobs(dequant)
        if not blobs or blobs[0].field != "uint64_data":
            return None
        return blobs[0].elements
