"""Small nets for probes."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Sequence

from amct_caffe.runtime.pycaffe import TRAIN, caffe


def input_text(*shape: int, name: str = "data") -> str:
    """Return an input of a net, as Caffes of every age read it."""
    dims = " ".join(f"dim: {size}" for size in shape)
    return f'input: "{name}" input_shape {{ {dims} }}\n'


def layer_text(kind: str, bottoms: Sequence[str], top: str, body: str = "") -> str:
    """Return a layer that is called as its top is."""
    read = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
    return f'layer {{ name: "{top}" type: "{kind}" {read} top: "{top}" {body} }}\n'


def build(text: str, phase: int = TRAIN) -> Any:
    """Return the net that ``text`` describes."""
    path = written(text)
    try:
        return caffe.Net(path, phase)
    finally:
        os.unlink(path)


def written(text: str) -> str:
    """Return a new file of this text: pycaffe builds nets and solvers from files only."""
    descriptor, path = tempfile.mkstemp(suffix=".prototxt")
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    return path
