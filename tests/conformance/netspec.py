"""Networks in the notation of Caffe's ``NetSpec``, with Caffe and without.

A case is a function of ``(n, L, P)``: a ``NetSpec``, ``caffe.layers`` and ``caffe.params``.  Where
there is no Caffe the stand-ins below take their place; with Caffe a test demands that both make the
same network of every case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

import attrs

Build = Callable[[Any, Any, Any], None]

_IRREGULAR = {
    "InnerProduct": "inner_product",
    "BatchNorm": "batch_norm",
    "PReLU": "prelu",
    "ReLU": "relu",
    "ELU": "elu",
    "LRN": "lrn",
    "TanH": "tanh",
    "DummyData": "dummy_data",
    "HDF5Data": "hdf5_data",
    "MemoryData": "memory_data",
    "ArgMax": "argmax",
    "MVN": "mvn",
    "Deconvolution": "convolution",
}
"""Parameter messages whose names are not the layer type in lower case."""


class Word(str):
    """An enum value, written without quotes."""


@attrs.define(eq=False)
class Top:
    """One output of a layer."""

    layer: LayerSpec
    index: int


@attrs.define(eq=False)
class LayerSpec:
    """One layer: what ``L.<type>(...)`` was called with."""

    type: str
    bottoms: tuple[Top, ...]
    parameters: dict[str, Any]
    count: int
    in_place: bool
    name: str = ""
    tops: tuple[str, ...] = ()

    def blob(self, top: Top) -> str:
        return self.tops[top.index]


class Layers:
    """Stands in for ``caffe.layers``."""

    def __getattr__(self, type_name: str) -> Callable[..., Any]:
        def make(*bottoms: Top, ntop: int = 1, in_place: bool = False, **parameters: Any) -> Any:
            layer = LayerSpec(type_name, bottoms, parameters, ntop, in_place)
            tops = tuple(Top(layer, index) for index in range(ntop))
            if ntop == 0:
                return Top(layer, 0)
            return tops[0] if ntop == 1 else tops

        return make


class Params:
    """Stands in for ``caffe.params``."""

    def __getattr__(self, message: str) -> Any:
        class Enum:
            def __getattr__(self, value: str) -> Word:
                return Word(value)

        return Enum()


class NetSpec:
    """Stands in for ``caffe.NetSpec``: layers in the order of their assignment."""

    def __init__(self) -> None:
        object.__setattr__(self, "assigned", {})

    def __setattr__(self, name: str, top: Top) -> None:
        self.assigned[name] = top

    def __getattr__(self, name: str) -> Top:
        return self.assigned[name]

    __setitem__ = __setattr__
    __getitem__ = __getattr__

    def to_prototxt(self) -> str:
        names = {id(top.layer): {} for top in self.assigned.values()}
        for name, top in self.assigned.items():
            names[id(top.layer)][top.index] = name
        written: dict[int, str] = {}
        for top in self.assigned.values():
            self._write(top.layer, names, written)
        return "".join(written.values())

    def _write(self, layer: LayerSpec, names: Any, written: dict[int, str]) -> None:
        if id(layer) in written:
            return
        for bottom in layer.bottoms:
            self._write(bottom.layer, names, written)
        bottoms = tuple(bottom.layer.blob(bottom) for bottom in layer.bottoms)
        own = names[id(layer)]
        layer.name = own[0]
        layer.tops = bottoms if layer.in_place else tuple(own[i] for i in range(layer.count))
        fields = {"type": layer.type, "bottom": list(bottoms), "top": list(layer.tops)}
        fields["name"] = layer.name
        own_parameters = _IRREGULAR.get(layer.type, layer.type.lower()) + "_param"
        nested: dict[str, Any] = {}
        for key, value in layer.parameters.items():
            at_layer = key.endswith("param") or key in ("include", "exclude", "loss_weight")
            (fields if at_layer else nested)[key] = value
        if nested:
            fields[own_parameters] = nested
        written[id(layer)] = f"layer {{\n{_fields(fields)}}}\n"


def _fields(fields: dict[str, Any]) -> str:
    lines = []
    for key, value in fields.items():
        for item in value if isinstance(value, list) else [value]:
            lines.append(
                f"{key} {{\n{_fields(item)}}}" if isinstance(item, dict) else _line(key, item)
            )
    return "".join(f"  {line}\n" for line in lines)


def _line(key: str, value: Any) -> str:
    if isinstance(value, Word) or not isinstance(value, (str, bool)):
        return f"{key}: {value}"
    if isinstance(value, bool):
        return f"{key}: {str(value).lower()}"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{key}: "{escaped}"'


def standing_in(build: Build) -> str:
    """Return the prototxt of a case, made without Caffe."""
    n = NetSpec()
    build(n, Layers(), Params())
    return n.to_prototxt()


def with_caffe(build: Build, caffe: Any) -> Any:
    """Return the NetParameter that Caffe's own NetSpec makes of a case."""
    n = caffe.NetSpec()
    build(n, caffe.layers, caffe.params)
    return n.to_proto()


def prototxt(build: Build, caffe: Optional[Any]) -> str:
    """Return the prototxt of a case: from Caffe's NetSpec where there is one."""
    return standing_in(build) if caffe is None else str(with_caffe(build, caffe))
