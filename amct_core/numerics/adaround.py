"""AdaRound: whether each weight is rounded up or down is learned from what its layer reads.

A layer's outputs are sums ``W x``.  With ``s`` the scales of the weights and ``u = W / s``, each
integer is one of the two beside ``u``, within int8::

    q = clamp(floor(u), -128, 127)   or   clamp(floor(u) + 1, -128, 127)

and the ones are looked for that give the least squared error of the outputs over all columns::

    E = sum_n |(q - u) x_n|^2 = (q - u) G (q - u)^T          G = sum_n x_n x_n^T

where ``x`` is what the layer reads in integers.  (With ``u x`` of what it reads in float, q would
make up for errors of the layers before, too; on few samples it learns the samples then.)  Rows are
independent of each other, and only ``G`` is kept, so memory does not grow with the data.

1. *Relaxation* (Nagel et al.): ``q = floor(u) + h(v)`` with ``h(v) = clamp(1.2 sigmoid(v) - 0.1,
   0, 1)``.  Adam minimizes ``E / mean(diag G) + 0.1 sum(1 - |2 h - 1|^beta)`` over v, from
   ``h = u - floor(u)``.  The second term is left out in the first fifth of the steps; then beta
   falls from 20 to 2 along a cosine and drives each h to 0 or 1.
2. h is rounded.  While there is a weight whose other integer makes E of its row smaller, the one
   that makes it smallest takes it.
3. The nearest integers go through step 2, too, and each row has the better of both: E is not larger
   than with the nearest integers.

The time grows with the number of weights times the inputs of a row.

There is nothing random: G is that of all data, where the authors draw batches.

Source: Nagel et al., Up or Down? Adaptive Rounding for Post-Training Quantization, 2020 (equations
21 to 25); step 2 is a local search for the quadratic problem of its section 3.
"""

from __future__ import annotations

from typing import Optional

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import QuantizationError
from amct_core.numerics.affine import QUANT_MAX, QUANT_MIN
from amct_core.numerics.arrays import Float32Array, Float64Array, Int8Array

STEPS = 1000
"""Of Adam."""

RATE = 0.02
"""Of Adam."""

REGULARIZATION = 0.1
"""The weight of the term that drives to 0 and 1, where an input of mean power has weight 1."""

WARM_UP = 0.2
"""The share of the steps without it."""

BETA_FIRST, BETA_LAST = 20.0, 2.0

_WEIGHTS_AT_ONCE = 2**18
"""Rows are independent; so many weights need little memory and stay in the processor's cache."""

_ZETA, _GAMMA = 1.1, -0.1
_MOMENTUM, _SQUARES, _TINY = 0.9, 0.999, 1e-8


class AdaRound:
    """The rounding of one layer; see :class:`amct_core.extensions.WeightRounding`.

    Args:
        weights: float32 ``[G, M, K]``: groups, outputs and inputs of a group.
        scale_w: float32 ``[G, M, 1]``.
        nearest: int8 ``[G, M, K]``.
    """

    def __init__(self, weights: Float32Array, scale_w: Float32Array, nearest: Int8Array) -> None:
        self._u = np.asarray(weights, np.float64) / np.asarray(scale_w, np.float64)
        self._nearest = nearest
        groups, _, inputs = weights.shape
        self._gram = np.zeros((groups, inputs, inputs))
        self._columns = 0

    def observe(self, columns: Float32Array) -> None:
        """Take in columns ``[G, K, N]`` of what the layer reads."""
        x = np.asarray(columns, np.float64)
        self._gram += np.matmul(x, x.transpose(0, 2, 1))
        self._columns += x.shape[2]

    def result(self) -> Int8Array:
        """Return the integers.

        Raises:
            QuantizationError: nothing was observed, or it was not finite.
        """
        if not self._columns:
            raise QuantizationError("there are no data to learn the rounding of weights from.")
        if not np.isfinite(self._gram).all():
            raise QuantizationError(
                "the data to learn the rounding of weights from hold NaN or infinity.",
                remedy="Look at the data and the weights.",
            )
        power = np.einsum("gkk->g", self._gram)[:, np.newaxis, np.newaxis] / self._gram.shape[1]
        gram = self._gram / np.where(power > 0, power, 1.0)
        found = np.empty(self._u.shape, np.int8)
        groups, outputs, inputs = found.shape
        count = max(1, _WEIGHTS_AT_ONCE // (groups * inputs))
        for start in range(0, outputs, count):
            part = slice(start, start + count)
            found[:, part] = _rounded(_Problem.of(self._u[:, part], gram), self._nearest[:, part])
        return found


@attrs.frozen(eq=False)
class _Problem:
    """What is minimized; arrays float64.

    Attributes:
        u: ``[G, M, K]``, the weights in steps.
        gram: ``[G, K, K]``, with a diagonal whose mean is 1 (0 where all inputs are 0).
        low, high: the two integers that each weight may be; one, at the ends of int8.
    """

    u: Float64Array
    gram: Float64Array
    low: Float64Array
    high: Float64Array

    @classmethod
    def of(cls, u: Float64Array, gram: Float64Array) -> _Problem:
        low = np.floor(u)
        return cls(
            u=u,
            gram=gram,
            low=np.clip(low, QUANT_MIN, QUANT_MAX),
            high=np.clip(low + 1, QUANT_MIN, QUANT_MAX),
        )

    def errors(self, q: Float64Array) -> Float64Array:
        """Return the error of each row ``[G, M]``."""
        off = q - self.u
        found: Float64Array = np.sum(np.matmul(off, self.gram) * off, axis=2)
        return found


def _rounded(problem: _Problem, nearest: Int8Array) -> Float64Array:
    """Return the integers of all three steps."""
    relaxed = _descended(problem, _relaxed(problem))
    plain = _descended(problem, np.clip(nearest, problem.low, problem.high))
    better = problem.errors(relaxed) < problem.errors(plain)
    return np.where(better[..., np.newaxis], relaxed, plain)


def _relaxed(problem: _Problem) -> Float64Array:
    """Return the integers of step 1."""
    gram = problem.gram.astype(np.float32)
    free = (problem.high > problem.low).astype(np.float32)
    offset = (problem.low - problem.u).astype(np.float32)
    start = np.clip(problem.u - problem.low, 0.01, 0.99).astype(np.float32)
    adam = _Adam(-np.log((_ZETA - _GAMMA) / (start - _GAMMA) - 1))
    for step in range(1, STEPS + 1):
        sigmoid = 1 / (1 + np.exp(-adam.values))
        stretched = sigmoid * (_ZETA - _GAMMA) + _GAMMA
        h = np.clip(stretched, 0, 1)
        gradient = 2 * np.matmul(offset + h * free, gram)
        beta = _beta(step / STEPS)
        if beta is not None:
            away = 2 * h - 1
            gradient -= (
                REGULARIZATION * 2 * beta * np.sign(away) * np.abs(away) ** np.float32(beta - 1)
            )
        inside = (stretched > 0) & (stretched < 1)
        adam.step(gradient * inside * (_ZETA - _GAMMA) * sigmoid * (1 - sigmoid))
    return np.where(adam.values >= 0, problem.high, problem.low)


def _beta(progress: float) -> Optional[float]:
    """Return the exponent at a share of the steps; None: the term is left out."""
    if progress <= WARM_UP:
        return None
    angle = np.pi * (progress - WARM_UP) / (1 - WARM_UP)
    return float(BETA_LAST + 0.5 * (BETA_FIRST - BETA_LAST) * (1 + np.cos(angle)))


class _Adam:
    """Adam (Kingma and Ba, 2014), in float32."""

    def __init__(self, values: NDArray[np.float32]) -> None:
        self.values = values
        self._mean = np.zeros_like(values)
        self._square = np.zeros_like(values)
        self._count = 0

    def step(self, gradient: NDArray[np.float32]) -> None:
        self._count += 1
        self._mean += (1 - _MOMENTUM) * (gradient - self._mean)
        self._square += (1 - _SQUARES) * (gradient * gradient - self._square)
        mean = self._mean / (1 - _MOMENTUM**self._count)
        square = self._square / (1 - _SQUARES**self._count)
        self.values = self.values - RATE * mean / (np.sqrt(square) + _TINY)


def _descended(problem: _Problem, q: Float64Array) -> Float64Array:
    """Return what step 2 makes of ``q``: in each row one weight at a time, the best one."""
    q = q.astype(np.float64)
    diagonal = np.einsum("gkk->gk", problem.gram)[:, np.newaxis, :]
    half_gradient = np.matmul(q - problem.u, problem.gram)
    free = problem.high > problem.low
    group, row = np.indices(q.shape[:2])
    # A change that is lost in the rounding of float64 is none; without this bound it may not end.
    least = 1e-9 * np.maximum(diagonal.max(axis=2), np.finfo(np.float64).tiny)
    while True:
        step = np.where(q == problem.low, 1.0, -1.0) * free
        change = 2 * step * half_gradient + diagonal * free
        best = change.argmin(axis=2)
        acts = change[group, row, best] < -least
        if not acts.any():
            return q
        taken = step[group, row, best] * acts
        q[group, row, best] += taken
        half_gradient += taken[..., np.newaxis] * problem.gram[group, best]
