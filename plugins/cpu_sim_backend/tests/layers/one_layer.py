"""Networks of one layer: built with Caffe's NetSpec, run by Caffe and by the simulator."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from tests import needs

Shape = Tuple[int, ...]
Arrays = Dict[str, NDArray[np.float32]]


@attrs.frozen
class Case:
    """One layer with its parameters and the shapes of its inputs.

    Attributes:
        kind: the layer's type.
        inputs: shapes.
        parameters: of NetSpec, such as ``{"pooling_param": {"pool": 1}}``.
        tops: how many outputs it has.
        values: what its inputs hold: ``normal``, ``positive``, ``ties`` (few different values),
            ``labels`` (the second one holds indices below 2), or ``wide`` (large magnitudes).
    """

    kind: str
    inputs: Tuple[Shape, ...]
    parameters: Mapping[str, Any] = attrs.field(factory=dict)
    tops: int = 1
    values: str = "normal"

    @property
    def label(self) -> str:
        """A short text that tells the case from others."""
        shapes = "+".join("x".join(map(str, shape)) or "scalar" for shape in self.inputs)
        words = re.sub(r"[^\w.,=-]+", " ", str(dict(self.parameters))).strip()
        words = re.sub(r"^\w+_param ", "", words)
        tops = f" {self.tops} tops" if self.tops != 1 else ""
        return " ".join(filter(None, (self.kind, shapes, words))) + tops

    @property
    def random(self) -> np.random.Generator:
        """A source of numbers of its own."""
        return np.random.default_rng(zlib.crc32(self.label.encode()))

    def arrays(self) -> Arrays:
        """Return the inputs; among their values are both zeros."""
        random = self.random
        found = {}
        for index, shape in enumerate(self.inputs):
            x = random.standard_normal(shape).astype(np.float32)
            if self.values == "positive":
                x = np.abs(x) + np.float32(0.01)
            elif self.values == "ties":
                x = random.integers(-2, 3, shape).astype(np.float32)
            elif self.values == "wide":
                x *= np.float32(40)
            elif x.size > 2:
                x.reshape(-1)[:2] = 0.0, -0.0
            if self.values == "labels" and index == 1:
                x = random.integers(0, 2, shape).astype(np.float32)
            found[f"x{index}"] = x
        return found


@attrs.frozen
class BuiltLayer:
    """A case as files, and what Caffe makes of its inputs.

    Attributes:
        prototxt, caffemodel: the network.
        inputs: by blob.
        outputs: Caffe's, by blob.
    """

    prototxt: str
    caffemodel: str
    inputs: Arrays
    outputs: Arrays


def tops(case: Case) -> List[str]:
    """Return the names of the outputs."""
    return [f"y{index}" for index in range(case.tops)]


def build(caffe: Any, case: Case, folder: Path) -> BuiltLayer:
    """Build the network with random weights and run it in Caffe."""
    needs.require(case.kind)
    spec = caffe.NetSpec()
    bottoms = []
    for index, shape in enumerate(case.inputs):
        bottom = caffe.layers.Input(input_param={"shape": {"dim": list(shape)}})
        setattr(spec, f"x{index}", bottom)
        bottoms.append(bottom)
    made = getattr(caffe.layers, case.kind)(*bottoms, ntop=case.tops, **case.parameters)
    for name, top in zip(tops(case) or ["layer"], made if case.tops > 1 else [made]):
        setattr(spec, name, top)
    prototxt, caffemodel = str(folder / "net.prototxt"), str(folder / "net.caffemodel")
    needs.require_known(str(spec.to_proto()))
    Path(prototxt).write_text(str(spec.to_proto()))
    net = caffe.Net(prototxt, caffe.TEST)
    _fill(net, case)
    net.save(caffemodel)
    inputs = case.arrays()
    for name, array in inputs.items():
        net.blobs[name].data[...] = array
    net.forward()
    outputs = {name: np.array(net.blobs[name].data) for name in tops(case)}
    return BuiltLayer(prototxt, caffemodel, inputs, outputs)


def shapes(caffe: Any, built: BuiltLayer) -> Dict[str, Shape]:
    """Return the shapes that Caffe gives all blobs."""
    net = caffe.Net(built.prototxt, caffe.TEST)
    return {name: tuple(blob.shape) for name, blob in net.blobs.items()}


def _fill(net: Any, case: Case) -> None:
    """Give the layer weights that are no special values; a BatchNorm's variance is positive."""
    random = case.random
    for parameters in net.params.values():
        for index, blob in enumerate(parameters):
            blob.data[...] = random.standard_normal(blob.data.shape)
            if case.kind == "BatchNorm" and index > 0:
                blob.data[...] = np.abs(blob.data) + 0.1
