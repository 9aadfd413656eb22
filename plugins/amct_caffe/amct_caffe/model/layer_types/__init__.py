"""The layer types of Caffe, one file per family; each type is declared in one place.

A declaration says how the parameters are read, what the type does to shapes and signs, how it is
computed and how it is written in ONNX: see :class:`amct_core.extensions.LayerType`.  Not computed
here: losses and Accuracy, which a deployed network does not have, and the layers of Caffe's SSD
fork that need boxes.  They pass through everything that does not run the network, and a plugin may
add how they are computed.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Iterator, Tuple

from amct_core.extensions import LayerType


def _declared() -> Iterator[LayerType]:
    """Yield ``LAYER_TYPES`` of each module here: a family is added by adding its file."""
    for module in pkgutil.iter_modules(__path__):
        found = importlib.import_module(f"{__name__}.{module.name}")
        yield from getattr(found, "LAYER_TYPES", ())


LAYER_TYPES: Tuple[LayerType, ...] = tuple(_declared())

__all__ = ["LAYER_TYPES"]
