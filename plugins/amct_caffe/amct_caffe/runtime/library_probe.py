"""Finds out whether Caffe's BLAS and math library compute a layer as we do.

An LRN takes fused multiply-adds of a BLAS and powers of a math library.  Which ones a Caffe is
built with no version number tells, so the layer itself runs, on numbers of its own.
"""

from __future__ import annotations

import os
import tempfile
from typing import Dict, List, Sequence

import numpy as np

from amct_caffe.model.formats.prototxt.document import NetDocument
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.runtime.buildable import require_buildable
from amct_caffe.runtime.pycaffe import TEST, caffe
from amct_core.graph import Node
from amct_core.numerics.arrays import Float32Array

_SHAPE = (1, 16, 61, 67)
"""Some 65,000 values, for two libraries differ in one of a thousand; and an image that no vector
length divides, for the rest of an array is often computed by other code."""

_INPUT = """\
layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}
"""


class LibraryProbe:
    """Runs layers by themselves; those of equal type and parameters once."""

    def __init__(self) -> None:
        self._found: Dict[str, bool] = {}

    def follows(self, node: Node) -> bool:
        """Return whether Caffe gives the bits that ``node.type.run`` gives.

        Args:
            node: a float layer whose outputs have the shape of its inputs, all of one shape.

        Raises:
            EnvironmentUnsuitableError: this Caffe does not have the layer.
        """
        run = node.type.run
        if run is None or not isinstance(node.source, Layer):
            return False
        text = _prototxt(node)
        if text not in self._found:
            require_buildable(NetDocument.create("probe", [node.source]))
            inputs = _inputs(len(node.bottoms))
            ours = run(node, inputs)[0]
            self._found[text] = _are_equal(ours, _in_caffe(text, node, inputs))
        return self._found[text]


def _prototxt(node: Node) -> str:
    """Return a network of this layer alone."""
    names = _names(len(node.bottoms))
    layer = node.source.copy()
    layer.message.set("name", "probed")
    layer.bottoms, layer.tops, layer.param_specs = names, ["y"], []
    for rule in ("include", "exclude"):
        layer.message.remove(rule)
    dims = " ".join(f"dim: {size}" for size in _SHAPE)
    inputs = [_INPUT.format(name=name, dims=dims) for name in names]
    return "".join([*inputs, NetDocument.create("probe", [layer]).format()])


def _names(count: int) -> List[str]:
    return [f"x{index}" for index in range(count)]


def _inputs(count: int) -> List[Float32Array]:
    """Return numbers of both signs, most of magnitudes from 0.01 to 100; the same each time."""
    random = np.random.default_rng(1)
    found = []
    for _ in range(count):
        magnitudes = 10 ** random.uniform(-2, 2, _SHAPE)
        numbers = (random.normal(0, 1, _SHAPE) * magnitudes).astype(np.float32)
        numbers.flat[:2] = 0.0, -0.0
        found.append(numbers)
    return found


def _are_equal(ours: Float32Array, theirs: Float32Array) -> bool:
    same_bits = np.ascontiguousarray(ours).view(np.uint32) == theirs.view(np.uint32)
    return bool((same_bits | (np.isnan(ours) & np.isnan(theirs))).all())


def _in_caffe(text: str, node: Node, inputs: Sequence[Float32Array]) -> Float32Array:
    # pycaffe builds nets from files only.
    descriptor, path = tempfile.mkstemp(suffix=".prototxt")
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
        net = caffe.Net(path, TEST)
    finally:
        os.unlink(path)
    for blob, array in zip(net.params.get("probed", ()), node.weights):
        blob.data[...] = array
    for name, array in zip(_names(len(inputs)), inputs):
        net.blobs[name].data[...] = array
    net.forward()
    return np.array(net.blobs["y"].data)
