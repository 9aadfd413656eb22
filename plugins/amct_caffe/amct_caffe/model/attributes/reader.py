"""What a reader is."""

from __future__ import annotations

from typing import Callable

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_core.graph.attributes import Attributes

Reader = Callable[[Layer], Attributes]
"""From a layer of the prototxt to its attributes."""
