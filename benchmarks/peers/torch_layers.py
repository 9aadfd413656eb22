"""Quantized layers of PyTorch: its own two kinds of fake quantization, and AMCT's formula."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.ao.nn import qat
from torch.ao.quantization import (
    MovingAverageMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
    QConfig,
    default_fused_act_fake_quant,
    default_fused_per_channel_wt_fake_quant,
)
from torch.ao.quantization._learnable_fake_quantize import _LearnableFakeQuantize
from torch.nn import functional


class Fused:
    """``FusedMovingAvgObsFakeQuantize``: bounds are moving averages, found in the same pass."""

    def activation(self, signed: bool) -> nn.Module:
        """Return the default for activations: uint8 with a zero point."""
        return default_fused_act_fake_quant()

    def convolution(self, *arguments: int, **named: Any) -> nn.Module:
        """Return PyTorch's QAT convolution: int8 weights per channel."""
        return qat.Conv2d(*arguments, qconfig=self._config(arguments[1]), **named)

    def linear(self, inputs: int, outputs: int) -> nn.Module:
        """Return PyTorch's QAT layer: int8 weights per channel."""
        return qat.Linear(inputs, outputs, qconfig=self._config(outputs))

    def _config(self, channels: int) -> QConfig:
        return QConfig(default_fused_act_fake_quant, default_fused_per_channel_wt_fake_quant)


class Learnable(Fused):
    """``_LearnableFakeQuantize``: scale and zero point are parameters."""

    def activation(self, signed: bool) -> nn.Module:
        """Return the layer for activations: uint8 with a zero point."""
        return _LearnableFakeQuantize(
            MovingAverageMinMaxObserver,
            quant_min=0,
            quant_max=255,
            dtype=torch.quint8,
            qscheme=torch.per_tensor_affine,
            use_grad_scaling=True,
        )

    def _config(self, channels: int) -> QConfig:
        weight = _LearnableFakeQuantize.with_args(
            observer=MovingAveragePerChannelMinMaxObserver,
            quant_min=-128,
            quant_max=127,
            dtype=torch.qint8,
            qscheme=torch.per_channel_symmetric,
            channel_len=channels,
            use_grad_scaling=True,
        )
        # A qat layer hands on arguments for tensors that this class does not take.
        return QConfig(default_fused_act_fake_quant, lambda **_: weight())


def start_learning(network: nn.Module) -> None:
    """Let ``_LearnableFakeQuantize`` learn from now on, from the bounds that it has observed."""
    for module in network.modules():
        if isinstance(module, _LearnableFakeQuantize):
            module.enable_param_learning()


class _RoundStraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class _Ulq(nn.Module):
    """AMCT's ULQ: two clip bounds are learned, the grid follows from them; 8 bits."""

    def __init__(self) -> None:
        super().__init__()
        self.clip_max = nn.Parameter(torch.tensor(3.0))
        self.clip_min = nn.Parameter(torch.tensor(-1.0))

    def forward(self, x: Tensor) -> Tensor:
        scale = (self.clip_max - self.clip_min) / 255
        steps = _RoundStraightThrough.apply(self.clip_min / scale)
        low, high = scale * steps, scale * (steps + 255)
        return _RoundStraightThrough.apply(torch.clamp(x, low, high) / scale) * scale


def _arq(weights: Tensor) -> Tensor:
    """AMCT's ARQ: int8 weights per channel, whose scale follows the largest magnitude."""
    flat = weights.detach().flatten(1)
    scale = torch.maximum(flat.amax(1) / 127, flat.amin(1) / -128)
    scale = scale.reshape(-1, *[1] * (weights.dim() - 1))
    return torch.clamp(_RoundStraightThrough.apply(weights / scale), -128, 127) * scale


class _ArqConv2d(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, _arq(self.weight), self.bias)


class _ArqLinear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, _arq(self.weight), self.bias)


class Amct:
    """AMCT's formulas, written in PyTorch operations, with gradients by autograd."""

    def activation(self, signed: bool) -> nn.Module:
        """Return ULQ."""
        return _Ulq()

    def convolution(self, *arguments: int, **named: Any) -> nn.Module:
        """Return a convolution with ARQ weights."""
        return _ArqConv2d(*arguments, **named)

    def linear(self, inputs: int, outputs: int) -> nn.Module:
        """Return a layer with ARQ weights."""
        return _ArqLinear(inputs, outputs)
