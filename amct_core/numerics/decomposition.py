"""A convolution's kernel as two of lower rank: kh x 1 behind the input, then 1 x kw.

Unfolded, the weights ``W[o, c, i, j]`` are a matrix with a row for each (c, i) and a column for
each (o, j).  Its singular value decomposition, cut off behind ``rank`` values, is a product::

    W[o, c, i, j]  =  sum over r of  second[o, r, j] * first[r, c, i]

which is one convolution over rows and one over columns.  Of all products of this rank it is the
nearest by the sum of squares, and what it leaves out has the squares of the values cut off
(Eckart and Young).  Each factor gets the root of the singular values, so that their numbers are of
one size.

Source: Jaderberg, Vedaldi, Zisserman: Speeding up Convolutional Neural Networks with Low Rank
Expansions (2014), scheme 2; Tai et al. (2016) for the closed solution.
"""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import ArrayLike

from amct_core.errors import QuantizationError
from amct_core.numerics.arrays import Float32Array, Float64Array

DEFAULT_ENERGY = 0.99
"""Share of the sum of squares of a kernel that is kept: its error is at most a tenth of its norm.

Ours; AMCT's criterion is not public."""


@attrs.frozen(eq=False)
class Decomposition:
    """The singular value decomposition of an unfolded kernel; computed in float64.

    Attributes:
        left: ``[C * kh, K]``.
        values: ``[K]``, falling.
        right: ``[K, O * kw]``.
        shape: of the kernel: ``(O, C, kh, kw)``.
    """

    left: Float64Array
    values: Float64Array
    right: Float64Array
    shape: tuple[int, int, int, int]

    def rank(self, energy: float) -> int:
        """Return the least rank, at least 1, that keeps ``energy`` (in [0, 1]) of the squares.

        The decomposition of this rank differs from the kernel by at most ``1 - energy`` of the sum
        of its squares.
        """
        squares = self.values**2
        # The squares left out behind each rank: 0 behind the last, exactly.
        left_out = np.append(np.cumsum(squares[::-1])[::-1], 0.0)
        enough = left_out <= (1.0 - energy) * left_out[0]
        return max(1, int(np.argmax(enough)))

    def kernels(self, rank: int) -> tuple[Float32Array, Float32Array]:
        """Return the kernels ``[rank, C, kh, 1]`` and ``[O, rank, 1, kw]``, rounded to float32."""
        outputs, channels, height, width = self.shape
        roots = np.sqrt(self.values[:rank])
        first = (self.left[:, :rank] * roots).reshape(channels, height, rank)
        second = (roots[:, None] * self.right[:rank]).reshape(rank, outputs, width)
        return (
            np.ascontiguousarray(first.transpose(2, 0, 1)[..., None], np.float32),
            np.ascontiguousarray(second.transpose(1, 0, 2)[:, :, None], np.float32),
        )


def decompose(weights: ArrayLike) -> Decomposition:
    """Return the decomposition of a kernel ``[O, C, kh, kw]``.

    Raises:
        QuantizationError: it has NaN or infinity.
    """
    kernel = np.asarray(weights, np.float64)
    if not np.isfinite(kernel).all():
        raise QuantizationError(
            "its weights hold NaN or infinity; they cannot be decomposed.",
            remedy="Train again from a snapshot whose weights are finite.",
        )
    outputs, channels, height, width = kernel.shape
    matrix = kernel.transpose(1, 2, 0, 3).reshape(channels * height, outputs * width)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return Decomposition(left, values, right, (outputs, channels, height, width))


def multiplications(
    shape: tuple[int, int, int, int], rank: int | None, width_ratio: float
) -> float:
    """Return the multiplications per output position of a kernel, and of its decomposition.

    Args:
        shape: ``(O, C, kh, kw)``.
        rank: of the decomposition; None: the kernel as it is.
        width_ratio: input columns per output column: the first convolution keeps the columns, as
            it strides over rows alone.
    """
    outputs, channels, height, width = shape
    if rank is None:
        return float(outputs * channels * height * width)
    return rank * (channels * height * width_ratio + outputs * width)
