"""Layers that compute over windows, channels or whole images."""

from __future__ import annotations

from typing import Optional

import attrs

from amct_core.graph.attributes.base import Attributes, Pair


@attrs.frozen
class Pooling(Attributes):
    """Pooling over windows.

    ``method`` is ``MAX``, ``AVE`` or ``STOCHASTIC``.  With ``global_pooling`` the kernel is the
    whole input and ``kernel`` is None.  ``ceil_mode``: the output size is rounded up, and a last
    window that would start outside of the padded input is dropped, as Caffe does.
    """

    method: str
    kernel: Optional[Pair]
    stride: Pair = (1, 1)
    pad: Pair = (0, 0)
    global_pooling: bool = False
    ceil_mode: bool = True


@attrs.frozen
class LRN(Attributes):
    """Local response normalisation; ``region`` is ``ACROSS_CHANNELS`` or ``WITHIN_CHANNEL``."""

    local_size: int = 5
    alpha: float = 1.0
    beta: float = 0.75
    k: float = 1.0
    region: str = "ACROSS_CHANNELS"


@attrs.frozen
class MVN(Attributes):
    """Mean and variance normalisation of each channel, or of all channels of an image together."""

    normalize_variance: bool = True
    across_channels: bool = False
    eps: float = 1e-9


@attrs.frozen
class Softmax(Attributes):
    """Softmax along ``axis``."""

    axis: int = 1


@attrs.frozen
class SoftmaxWithLoss(Attributes):
    """Softmax along ``axis`` followed by the multinomial logistic loss."""

    axis: int = 1


@attrs.frozen
class Reduction(Attributes):
    """``coefficient`` times the ``operation`` over all axes from ``axis`` on.

    ``operation`` is ``SUM``, ``ASUM`` (of magnitudes), ``SUMSQ`` (of squares) or ``MEAN``.
    """

    operation: str = "SUM"
    axis: int = 0
    coefficient: float = 1.0


@attrs.frozen
class ArgMax(Attributes):
    """Where the ``top_k`` largest values are, largest first, and of equal ones the last.

    Along ``axis``; None: over each image as a whole.  With ``out_max_val`` the values themselves:
    instead of the indices along an axis, after them over a whole image.
    """

    out_max_val: bool = False
    top_k: int = 1
    axis: Optional[int] = None


@attrs.frozen
class Accuracy(Attributes):
    """Share of labels among the ``top_k`` largest scores along ``axis``."""

    top_k: int = 1
    axis: int = 1
