"""Typed parameters of the layer types that core and backends reason about.

A frontend translates its own notation into these classes, with the framework's defaults filled in
and its short forms resolved (one ``kernel_size`` for both sides becomes a pair).  Attributes that
only their own layer type needs are declared with it; a type without any carries :class:`Opaque`.
"""

from __future__ import annotations

from typing import Optional, Tuple

import attrs

from amct_core.extensions.processor_family import FLOAT32

Pair = Tuple[int, int]
"""(height, width), in elements."""


@attrs.frozen
class Attributes:
    """Base of all attribute classes."""


@attrs.frozen
class Opaque(Attributes):
    """Parameters that core has no use for; the frontend keeps them."""


@attrs.frozen
class Input(Attributes):
    """Network input: one shape per output."""

    shapes: Tuple[Tuple[int, ...], ...]


@attrs.frozen
class Data(Attributes):
    """A layer that brings data in.

    ``shapes`` holds, for each output, the shape as far as the layer's own parameters tell it
    (batch size first), or None.
    """

    shapes: Tuple[Optional[Tuple[int, ...]], ...] = ()


@attrs.frozen
class Quant(Attributes):
    """AscendQuant: ``clamp(rint(x * scale + offset), -128, 127)`` with float32 ``scale``.

    ``float16``: product and sum are rounded to float16, as some processors do.  ``added``: what is
    added in place of the offset that the readers take off again; None: the same.  No file says
    either; a graph that stands for what a processor computes does.
    """

    scale: float
    offset: int
    float16: bool = False
    added: Optional[int] = None

    @property
    def zero_point(self) -> int:
        """What is added."""
        return self.offset if self.added is None else self.added


@attrs.frozen
class DeQuant(Attributes):
    """AscendDequant: its factors are in its one packed uint64 weight blob.

    The attributes are what a processor makes of it; no file says them.

    ``gives``: float32 as the blob says; float16, from a deq_scale in float16 or not; or integers:
    ``q - offset`` of the Quants behind it that it is merged with.  ``quant_scale`` and ``offset``
    are theirs: one scale multiplies deq_scale, one offset is added.
    """

    gives: str = FLOAT32
    quant_scale: float = 1.0
    offset: int = 0


@attrs.frozen
class Float16(Attributes):
    """Rounds to float16; found only in a graph that stands for what a processor computes.

    ``through``: the input goes through this Quant and back into numbers first (AntiQuant), which
    takes the scale of the Quant to be ``scale``, as the model says.
    """

    through: Optional[Quant] = None
    scale: float = 1.0


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
class ReLU(Attributes):
    """``max(x, 0) + negative_slope * min(x, 0)``."""

    negative_slope: float = 0.0


@attrs.frozen
class ReLU6(Attributes):
    """``min(max(x, 0), limit)``.

    ``limit`` is 6; a graph that stands for what a processor computes may have it in other units.
    """

    limit: float = 6.0


@attrs.frozen
class Eltwise(Attributes):
    """Elementwise ``operation`` (``PROD``, ``SUM``, ``MAX``) of the inputs.

    ``coefficients`` belong to SUM; empty means 1 for each input.
    """

    operation: str = "SUM"
    coefficients: Tuple[float, ...] = ()


@attrs.frozen
class Concat(Attributes):
    """Concatenation along ``axis``."""

    axis: int = 1
