"""ResNet-20 for CIFAR-10 in PyTorch: the architecture of the Caffe network that is compared with.

Convolutions without bias, each but the projections followed by BatchNorm; a projection of 1 x 1 and
stride 2 where the size changes; global average pooling; a fully connected layer of ten classes.
"""

from __future__ import annotations

from typing import Any, List, Protocol

import torch
from torch import Tensor, nn

BLOCKS = ((16, 1), (16, 1), (16, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1))
"""Channels and stride of each residual block."""


class Layers(Protocol):
    """Makes the layers that a way of quantization has its own of.

    Fake quantization stands where the Caffe network has it: 20 times on activations, on the input
    of every convolution and of the last layer, once per blob however many layers read it; and on
    all 22 weights.
    """

    def activation(self, signed: bool) -> nn.Module:
        """Return what quantizes activations; ``signed``: they may be negative."""

    def convolution(self, *arguments: int, **named: Any) -> nn.Module:
        """Return a convolution with quantized weights; arguments of ``nn.Conv2d``."""

    def linear(self, inputs: int, outputs: int) -> nn.Module:
        """Return a fully connected layer with quantized weights."""


class Float32:
    """The layers without quantization."""

    def activation(self, signed: bool) -> nn.Module:
        """Return nothing at all."""
        return nn.Identity()

    def convolution(self, *arguments: int, **named: Any) -> nn.Module:
        """Return PyTorch's own convolution."""
        return nn.Conv2d(*arguments, **named)

    def linear(self, inputs: int, outputs: int) -> nn.Module:
        """Return PyTorch's own layer."""
        return nn.Linear(inputs, outputs)


class _Block(nn.Module):
    def __init__(self, layers: Layers, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        kernel = {"kernel_size": 3, "padding": 1, "bias": False}
        self.quantize1 = layers.activation(signed=False)
        self.conv1 = layers.convolution(inputs, outputs, stride=stride, **kernel)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.quantize2 = layers.activation(signed=False)
        self.conv2 = layers.convolution(outputs, outputs, **kernel)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU(inplace=True)
        self.projection = None
        if stride != 1:
            self.projection = layers.convolution(
                inputs, outputs, kernel_size=1, stride=stride, bias=False
            )

    def forward(self, x: Tensor) -> Tensor:
        quantized = self.quantize1(x)
        y = self.relu1(self.norm1(self.conv1(quantized)))
        y = self.norm2(self.conv2(self.quantize2(y)))
        shortcut = x if self.projection is None else self.projection(quantized)
        return self.relu2(y + shortcut)


class ResNet20(nn.Module):
    """The network: float32 ``[N, 3, 32, 32]`` to logits ``[N, 10]``."""

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        self.quantize = layers.activation(signed=True)
        self.conv = layers.convolution(3, 16, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        blocks: List[nn.Module] = []
        inputs = 16
        for outputs, stride in BLOCKS:
            blocks.append(_Block(layers, inputs, outputs, stride))
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.quantize_pooled = layers.activation(signed=False)
        self.fc = layers.linear(inputs, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.relu(self.norm(self.conv(self.quantize(x))))
        x = torch.flatten(self.pool(self.blocks(x)), 1)
        return self.fc(self.quantize_pooled(x))


def freeze_statistics(network: nn.Module) -> None:
    """Make BatchNorm use its statistics and leave them alone; gamma and beta are still trained."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
