"""What a weights file holds."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import attrs
from numpy.typing import NDArray

from amct_core.errors import FileFormatError


@attrs.frozen(eq=False)
class LayerWeights:
    """One layer of a weights file.

    Attributes:
        name: of the layer.
        type: in Caffe's present words, such as ``Convolution``; empty if the file does not say.
        blobs: its weights in the shapes that the file gives; read-only views of the file where its
            format allows: float32, or int8, int32 and uint64 in Ascend's deployable models.
        other: all other fields of the layer, in binary format, as they stood in the file.
    """

    name: str
    type: str = ""
    blobs: Tuple[NDArray[Any], ...] = attrs.field(default=(), repr=False)
    other: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen(eq=False)
class CaffeModel:
    """A weights file.

    Attributes:
        name: of the network.
        layers: in the file's order, those without weights included.
        file: where it was read from.
    """

    name: str
    layers: Tuple[LayerWeights, ...]
    file: str = ""

    def by_name(self) -> Dict[str, LayerWeights]:
        """Return the layers that have blobs, by name.

        Raises:
            FileFormatError: two layers with blobs have one name.
        """
        named: Dict[str, LayerWeights] = {}
        for layer in self.layers:
            if not layer.blobs:
                continue
            if layer.name in named:
                raise FileFormatError(
                    "two layers with weights have this name; expected one.",
                    file=self.file,
                    layer=layer.name,
                    field="name",
                    remedy="Give each layer a name of its own, and save the weights again.",
                )
            named[layer.name] = layer
        return named
