"""The weights file as ATC's parser sees it."""

from __future__ import annotations

from typing import Tuple

import attrs

from amct_caffe.model.formats.caffemodel.blobs import StoredBlob


@attrs.frozen(eq=False)
class StoredLayer:
    """An entry of the weights file.

    Attributes:
        name: of the layer.
        type: of the layer; it chooses the parser of the blobs.
        blobs: in the file's order.
        bottoms: their number decides to which input the first blob is linked.
        tops: not used by ATC.
    """

    name: str
    type: str
    blobs: Tuple[StoredBlob, ...] = attrs.field(repr=False)
    bottoms: Tuple[str, ...] = ()
    tops: Tuple[str, ...] = ()


@attrs.frozen(eq=False)
class WeightsFile:
    """A weights file.

    Attributes:
        layers: the entries of ``layer``, in the file's order.
        v1_layers: how many entries of ``layers``, the format before, there are.
        file: its path.
    """

    layers: Tuple[StoredLayer, ...]
    v1_layers: int = 0
    file: str = ""

    @property
    def names_no_bottoms(self) -> bool:
        """Whether no entry with blobs has bottoms, as in files that our first versions saved."""
        with_blobs: Tuple[StoredLayer, ...] = tuple(each for each in self.layers if each.blobs)
        return bool(with_blobs) and not any(each.bottoms for each in with_blobs)
