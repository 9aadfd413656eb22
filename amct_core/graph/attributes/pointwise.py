"""Layers that compute each value from the values in its place."""

from __future__ import annotations

from typing import Tuple

import attrs

from amct_core.graph.attributes.base import Attributes


@attrs.frozen
class ReLU(Attributes):
    """``max(x, 0) + negative_slope * min(x, 0)``."""

    negative_slope: float = 0.0


@attrs.frozen
class ELU(Attributes):
    """``max(x, 0) + alpha * (exp(min(x, 0)) - 1)``."""

    alpha: float = 1.0


@attrs.frozen
class Eltwise(Attributes):
    """Elementwise ``operation`` (``PROD``, ``SUM``, ``MAX``) of the inputs.

    ``coefficients`` belong to SUM; empty means 1 for each input.
    """

    operation: str = "SUM"
    coefficients: Tuple[float, ...] = ()


@attrs.frozen
class Power(Attributes):
    """``(shift + scale * x) ** power``."""

    power: float = 1.0
    scale: float = 1.0
    shift: float = 0.0


@attrs.frozen
class Exp(Attributes):
    """``base ** (shift + scale * x)``; a base of -1 stands for e."""

    base: float = -1.0
    scale: float = 1.0
    shift: float = 0.0


@attrs.frozen
class Log(Attributes):
    """``log_base(shift + scale * x)``; a base of -1 stands for e."""

    base: float = -1.0
    scale: float = 1.0
    shift: float = 0.0


@attrs.frozen
class Threshold(Attributes):
    """1 where ``x > threshold``, else 0."""

    threshold: float = 0.0


@attrs.frozen
class Swish(Attributes):
    """``x * sigmoid(beta * x)``."""

    beta: float = 1.0
