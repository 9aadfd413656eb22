"""Quantized layers of Brevitas: int8 weights per channel, scales of activations learned."""

from __future__ import annotations

from typing import Any

from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerChannelFloat, Uint8ActPerTensorFloat
from torch import nn

STATISTICS = 3
"""Iterations in which scales are found from statistics, before they are learned; Brevitas's own
default is 300, of which each takes longer than those after them."""


class _Signed(Int8ActPerTensorFloat):
    collect_stats_steps = STATISTICS


class _Unsigned(Uint8ActPerTensorFloat):
    collect_stats_steps = STATISTICS


class Learned:
    """Brevitas's common quantizers, once their scales are learned."""

    signed, unsigned = _Signed, _Unsigned

    def activation(self, signed: bool) -> nn.Module:
        """Return the layer for activations: int8 or uint8, without a zero point."""
        quantizer = self.signed if signed else self.unsigned
        return QuantIdentity(act_quant=quantizer, return_quant_tensor=False)

    def convolution(self, *arguments: int, **named: Any) -> nn.Module:
        """Return a convolution with int8 weights."""
        return QuantConv2d(*arguments, weight_quant=Int8WeightPerChannelFloat, **named)

    def linear(self, inputs: int, outputs: int) -> nn.Module:
        """Return a layer with int8 weights."""
        return QuantLinear(inputs, outputs, bias=True, weight_quant=Int8WeightPerChannelFloat)


class Collecting(Learned):
    """The same while statistics are collected: Brevitas's first 300 iterations."""

    signed, unsigned = Int8ActPerTensorFloat, Uint8ActPerTensorFloat
