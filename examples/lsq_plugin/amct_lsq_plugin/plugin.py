"""The hooks.  This module is imported whenever ``amct`` starts, so what they need they import."""

from __future__ import annotations

from typing import Iterable

from amct_core.extensions import ActivationAlgorithm, WeightAlgorithm
from amct_core.hookspecs import hookimpl


@hookimpl
def amct_activation_algorithms() -> Iterable[ActivationAlgorithm]:
    """``lsq``."""
    from amct_lsq_plugin import activations

    return [activations.ALGORITHM]


@hookimpl
def amct_weight_algorithms() -> Iterable[WeightAlgorithm]:
    """``lsq``."""
    from amct_lsq_plugin import weights

    return [weights.ALGORITHM]
