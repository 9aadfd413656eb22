"""Layers with weights."""

from __future__ import annotations

from typing import Optional, Tuple

import attrs

from amct_core.graph.attributes.base import Attributes


@attrs.frozen
class Convolution(Attributes):
    """Convolution and Deconvolution.

    ``kernel``, ``stride``, ``pad`` and ``dilation`` have one entry per spatial axis: two for the
    common case, whose filter is a 4-D array.
    """

    num_output: int
    kernel: Tuple[int, ...]
    stride: Tuple[int, ...]
    pad: Tuple[int, ...]
    dilation: Tuple[int, ...]
    group: int = 1
    bias_term: bool = True
    axis: int = 1


@attrs.frozen
class InnerProduct(Attributes):
    """Fully connected layer: weights (num_output, K), or (K, num_output) if ``transpose``."""

    num_output: int
    bias_term: bool = True
    axis: int = 1
    transpose: bool = False


@attrs.frozen
class BatchNorm(Attributes):
    """Normalisation by stored statistics: weights are mean, variance and their common factor."""

    eps: float = 1e-5
    use_global_stats: Optional[bool] = None


@attrs.frozen
class Scale(Attributes):
    """Multiplication by a parameter (or second input) over ``num_axes`` axes from ``axis``."""

    axis: int = 1
    num_axes: int = 1
    bias_term: bool = False


@attrs.frozen
class Bias(Attributes):
    """Addition of a parameter (or second input) over ``num_axes`` axes from ``axis``."""

    axis: int = 1
    num_axes: int = 1


@attrs.frozen
class PReLU(Attributes):
    """ReLU whose negative slope is a parameter: one per channel, or one for all of them."""

    channel_shared: bool = False
