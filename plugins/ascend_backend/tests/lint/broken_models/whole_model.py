"""A model that breaks no rule, and how a change of it is registered that breaks one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Optional

import attrs
import numpy as np

from amct_caffe.model.formats.caffemodel.wire import encode_bytes, encode_varints
from ascend_backend.lint import DeployModel, find, read_model
from ascend_backend.targets import find_target

NET = r"""
name: "whole"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 32 dim: 8 dim: 8 } } }
layer { name: "conv_q" type: "Quant" bottom: "data" top: "conv_in"
  quant_param { scale: 12.5 offset: "\200" } }
layer { name: "conv" type: "Convolution" bottom: "conv_in" top: "conv_sum"
  convolution_param { num_output: 32 kernel_size: 3 pad: 1 } }
layer { name: "conv_d" type: "DeQuant" bottom: "conv_sum" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "up_q" type: "Quant" bottom: "conv" top: "up_in"
  quant_param { scale: 25 offset: "\001" } }
layer { name: "up" type: "Deconvolution" bottom: "up_in" top: "up_sum"
  convolution_param { num_output: 32 kernel_size: 2 stride: 2 bias_term: false } }
layer { name: "up_d" type: "DeQuant" bottom: "up_sum" top: "up" }
layer { name: "pool_q" type: "Quant" bottom: "up" top: "pool_in"
  quant_param { scale: 25 offset: "\002" } }
layer { name: "pool" type: "Pooling" bottom: "pool_in" top: "pool_sum"
  pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "pool_d" type: "DeQuant" bottom: "pool_sum" top: "pool" }
layer { name: "fc_q" type: "Quant" bottom: "pool" top: "fc_in"
  quant_param { scale: 25 offset: "\003" } }
layer { name: "fc" type: "InnerProduct" bottom: "fc_in" top: "fc_sum"
  inner_product_param { num_output: 10 } }
layer { name: "fc_d" type: "DeQuant" bottom: "fc_sum" top: "fc" }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""

BOTTOM = 3
SHAPE, DIM = 7, 1
FIELDS = {"float32": 5, "int8": 10, "int32": 11, "uint64": 12}
DEQ_SCALE = 2.0**-7


def words(count: int, deq_scale: float = DEQ_SCALE, n: Any = 0, high: int = 0) -> np.ndarray:
    """Return DeQuant words; ``high`` are bits 40 and up."""
    scales = np.full(count, deq_scale, np.float32).view(np.uint32).astype(np.uint64)
    shifts = np.broadcast_to(np.asarray(n, np.uint64), count) << np.uint64(32)
    return scales | shifts | (np.uint64(high) << np.uint64(40))


def payload(array: np.ndarray) -> bytes:
    """Return the elements of a blob as protobuf has them."""
    raw = array.tobytes() if array.dtype.name in ("float32", "int8") else encode_varints(array)
    return encode_bytes(FIELDS[array.dtype.name], raw)


def blob(array: np.ndarray, shape: Optional[tuple[int, ...]] = None) -> bytes:
    """Return a BlobProto; ``shape`` in place of the array's own."""
    dims = encode_varints(np.asarray(array.shape if shape is None else shape, np.int64))
    return encode_bytes(SHAPE, encode_bytes(DIM, dims)) + payload(array)


@attrs.define
class Entry:
    """A layer of the weights file."""

    name: str
    type: str
    blobs: list[bytes]
    bottoms: list[str] = attrs.field(factory=lambda: ["x"])
    """ATC counts them; their names do not matter to it."""

    def encoded(self, numbers: tuple[int, int, int, int] = (100, 1, 2, 7)) -> bytes:
        """Return the entry; ``numbers`` of layer, name, type and blobs."""
        layer, name, kind, blobs = numbers
        content = encode_bytes(name, self.name.encode()) + encode_bytes(kind, self.type.encode())
        content += b"".join(encode_bytes(BOTTOM, bottom.encode()) for bottom in self.bottoms)
        return encode_bytes(layer, content + b"".join(encode_bytes(blobs, b) for b in self.blobs))


@attrs.define
class Model:
    """A prototxt, a weights file, the map of names, and the processor they are linted for."""

    net: str
    entries: list[Entry]
    raw_weights: Optional[bytes] = None
    soc_version: Optional[str] = None
    names: Optional[str] = None

    @classmethod
    def whole(cls) -> Model:
        """Return the model that breaks no rule."""
        ones = np.ones
        entries = [
            Entry("conv", "Convolution", [blob(ones((32, 32, 3, 3), np.int8)), bias(32)]),
            Entry("conv_d", "DeQuant", [blob(words(32))]),
            Entry("up", "Deconvolution", [blob(ones((32, 32, 2, 2), np.int8))]),
            Entry("up_d", "DeQuant", [blob(words(32))]),
            Entry("pool_d", "DeQuant", [blob(words(1))]),
            Entry("fc", "InnerProduct", [blob(ones((10, 2048), np.int8)), bias(10)]),
            Entry("fc_d", "DeQuant", [blob(words(1))]),
        ]
        return cls(NET, entries)

    def replace(self, old: str, new: str) -> None:
        """Change the prototxt at its first ``old``."""
        assert old in self.net
        self.net = self.net.replace(old, new, 1)

    def add(self, layer: str) -> None:
        """Append a layer to the prototxt."""
        self.net += f"layer {{ {layer} }}\n"

    def entry(self, name: str) -> Entry:
        """Return a layer of the weights file."""
        return next(entry for entry in self.entries if entry.name == name)

    def write(self, folder: Path) -> tuple[str, str]:
        """Write both files; return their paths."""
        model, weights = folder / "m_deploy_model.prototxt", folder / "m_deploy_weights.caffemodel"
        model.write_text(self.net)
        encoded = b"".join(entry.encoded() for entry in self.entries)
        weights.write_bytes(encoded if self.raw_weights is None else self.raw_weights)
        if self.names is not None:
            (folder / "m_quant.json").write_text(self.names)
        return str(model), str(weights)

    def read(self, folder: Path) -> DeployModel:
        """Write both files and read them."""
        target = None if self.soc_version is None else find_target(self.soc_version)
        return read_model(*self.write(folder), target)

    def broken(self, folder: Path) -> dict[str, list[str]]:
        """Return what is found in it, the messages by rule."""
        found: dict[str, list[str]] = {}
        for each in find(self.read(folder)):
            found.setdefault(each.rule.id, []).append(each.problem.message)
        return found


def bias(count: int) -> bytes:
    """Return an int32 bias."""
    return blob(np.arange(-1, count - 1, dtype=np.int32))


def floats(*shape: int, value: float = 0.5) -> bytes:
    """Return a float blob."""
    return blob(np.full(shape, value, np.float32))


@attrs.frozen
class Broken:
    """A change that makes the whole model break one rule.

    Attributes:
        rule: its id.
        layer: the layer that is named, if it is one.
        change: applied to :meth:`Model.whole`.
        beside: rules that every model breaks on the processor that ``change`` chooses.
    """

    rule: str
    layer: Optional[str]
    change: Callable[[Model], None]
    beside: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.rule} {self.change.__name__}"


CASES: list[Broken] = []


def breaks(
    rule: str, layer: Optional[str] = None, beside: tuple[str, ...] = ()
) -> Callable[[Callable[[Model], None]], None]:
    """Register a change."""

    def register(change: Callable[[Model], None]) -> None:
        CASES.append(Broken(rule, layer, change, beside))

    return register


def quant_layer(m: Model, name: str, bottom: str, scale: float = 25, offset: str = r"\000") -> None:
    """Append a Quant whose top has its name."""
    m.add(
        f'name: "{name}" type: "Quant" bottom: "{bottom}" top: "{name}" '
        f'quant_param {{ scale: {scale} offset: "{offset}" }}'
    )
