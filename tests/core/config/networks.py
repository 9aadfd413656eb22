"""Layers of a network, as tests of what names them need one."""

from __future__ import annotations

from amct_core.config.model import LayerFacts
from amct_core.config.network_layers import QuantizableLayers
from amct_core.extensions import LayerType, Quantization
from amct_core.extensions.layer_type import WeightAxes

_BY_OUTPUT = WeightAxes(output=0)
CONVOLUTION = LayerType(
    "Convolution", weights=_BY_OUTPUT, quantization=Quantization(channel_wise_allowed=True)
)
PRODUCT = LayerType("InnerProduct", weights=_BY_OUTPUT, quantization=Quantization())
POOLING = LayerType("Pooling", quantization=Quantization())
RELU = LayerType("ReLU")

_FACTS = {
    "Convolution": LayerFacts("Convolution", True, True, True),
    "InnerProduct": LayerFacts("InnerProduct", False, False, True),
    "Pooling": LayerFacts("Pooling", False, False, False),
}


def of_types(
    types: dict[str, LayerType], unsupported: dict[str, str] | None = None
) -> QuantizableLayers:
    """Return layers by name, those of ``unsupported`` with the reason."""
    left_out = unsupported or {}
    quantizable = [n for n, t in types.items() if t.quantization is not None and n not in left_out]
    return QuantizableLayers(
        supported={name: _FACTS[types[name].name] for name in quantizable},
        unsupported=left_out,
        others=tuple(name for name, kind in types.items() if kind.quantization is None),
        types=types,
    )
