"""The shape that Caffe gives a blob, as far as it follows from the layer alone."""

from __future__ import annotations

from typing import List, Optional, Tuple

import attrs

from amct_core.textproto import Message

Dim = Optional[int]
"""A size, or None where it depends on the layer's input."""
_MOST_AXES = 32
"""No blob has more (Caffe's ``kMaxBlobAxes``, ``include/caffe/blob.hpp``)."""


@attrs.frozen
class ExpectedBlob:
    """What is known about one blob's shape.

    Attributes:
        dims: the leading dimensions; None: any shape.
        side: the size of each further dimension, where there may be any number of them (a
            convolution whose one ``kernel_size`` holds for all spatial axes); None: there are none.
    """

    dims: Optional[Tuple[Dim, ...]]
    side: Dim = None

    def fit(self, shape: Tuple[int, ...]) -> Optional[Tuple[int, ...]]:
        """Return ``shape`` as Caffe has it, or None if it is another one.

        Old files have four dimensions throughout: 1 x 1 x N x K for an InnerProduct's weights,
        1 x 1 x 1 x N for a bias.  Their leading ones go.
        """
        if self.dims is None:
            return shape
        if self.side is None:
            extra = len(shape) - len(self.dims)
            known, rest = shape[max(extra, 0) :], shape[: max(extra, 0)]
            fits = extra >= 0 and all(dim == 1 for dim in rest)
        else:
            known, rest = shape[: len(self.dims)], shape[len(self.dims) :]
            fits = len(known) == len(self.dims) and all(dim == self.side for dim in rest)
        fits = fits and all(own is None or own == dim for own, dim in zip(self.dims, known))
        return (known if self.side is None else shape) if fits else None

    def __str__(self) -> str:
        if self.dims is None:
            return "any shape"
        sizes = ["?" if dim is None else str(dim) for dim in self.dims]
        if self.side is not None:
            sizes += [str(self.side), "..."]
        return " x ".join(sizes) if sizes else "a single value"


def bias_blob(parameters: Message, outputs: Dim) -> List[ExpectedBlob]:
    """Return the blob of the bias, if ``bias_term`` (true by default) says that there is one."""
    return [ExpectedBlob((outputs,))] if parameters.boolean("bias_term", True) else []


def over_axes(parameters: Message) -> ExpectedBlob:
    """Return a blob over ``num_axes`` axes of the input; -1: over all that there are."""
    num_axes = parameters.integer("num_axes", 1)
    if num_axes is None or num_axes < 0:
        return ExpectedBlob(None)
    # One axis too many is as impossible as a billion, and takes less memory.
    return ExpectedBlob((None,) * min(num_axes, _MOST_AXES + 1))
