"""A small float network with its weights on disk, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.caffemodel import writer
from amct_core.textproto.scalars import as_bytes
from plugins.amct_caffe.tests.qat import nets

MODEL, WEIGHTS, CONFIG = "net.prototxt", "net.caffemodel", "config.json"
MODIFIED = "modified.prototxt", "modified.caffemodel", "record.txt"

Blobs = Mapping[str, Sequence[NDArray[Any]]]

SIZE = 8
DATA = nets.layer(
    "data",
    "DummyData",
    [],
    ["data", "label"],
    f"dummy_data_param {{ shape {{ dim: 2 dim: 3 dim: {SIZE} dim: {SIZE} }} shape {{ dim: 2 }} "
    'data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } }',
)
CONV = nets.convolution("conv", "data", 4, 3)
NORM = nets.layer("norm", "BatchNorm", ["conv"], ["conv"]) + nets.layer(
    "scale", "Scale", ["conv"], ["conv"], "scale_param { bias_term: true }"
)
REST = (
    nets.relu("relu", "conv")
    + nets.inner_product("ip", "conv", 5)
    + nets.layer("loss", "SoftmaxWithLoss", ["ip", "label"])
)
NETWORK = DATA + CONV + NORM + REST


def weights() -> dict[str, list[NDArray[np.float32]]]:
    """Return good weights of :data:`NETWORK`."""
    generator = np.random.default_rng(5)
    shapes = {
        "conv": [(4, 3, 3, 3), (4,)],
        "norm": [(4,), (4,), (1,)],
        "scale": [(4,), (4,)],
        "ip": [(5, 4 * 6 * 6), (5,)],
    }
    return {
        name: [generator.uniform(0.5, 1.5, shape).astype(np.float32) for shape in blobs]
        for name, blobs in shapes.items()
    }


def changed(layer: str, index: int, value: float, *place: int) -> dict[str, Any]:
    """Return the weights with one value changed."""
    blobs = weights()
    blobs[layer][index][place] = value
    return {"blobs": blobs}


@attrs.frozen
class FloatModel:
    """A network and its weights; the default is one that nothing is wrong with."""

    text: str = NETWORK
    blobs: Blobs = attrs.field(factory=weights)

    def write(self, folder: Path) -> None:
        """Write both files."""
        (folder / MODEL).write_bytes(as_bytes(self.text))
        with (folder / WEIGHTS).open("wb") as stream:
            layers = [(name, "", list(blobs)) for name, blobs in self.blobs.items()]
            writer.write(stream, "net", layers)


def files_below(folder: Path) -> dict[str, bytes]:
    """Return every file and folder below ``folder`` with its contents, except for the log."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
        if "amct_log" not in path.parts
    }
