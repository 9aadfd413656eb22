"""The weights file as ATC's parser sees it."""

from __future__ import annotations

from typing import Tuple

import attrs

from amct_caffe.model.formats.caffemodel.scan import StoredLayer


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
        with_blobs = [each for each in self.layers if each.blobs]
        return bool(with_blobs) and not any(each.bottoms for each in with_blobs)
