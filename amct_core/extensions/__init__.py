"""The typed objects that plugins return from hooks, one small class per kind.

Importing this package is cheap: it imports neither numpy nor a plugin.
"""

from __future__ import annotations

from amct_core.extensions.algorithms import (
    ActivationAlgorithm,
    Calibrator,
    ShiftSearch,
    WeightAlgorithm,
)
from amct_core.extensions.backend import DeployBackend
from amct_core.extensions.command import CliCommand
from amct_core.extensions.frontend import Frontend
from amct_core.extensions.layer_quantizer import LayerQuantizer, WeightLayout
from amct_core.extensions.layer_simulator import LayerSimulator
from amct_core.extensions.processor import Fact, Processor, RolledBack

__all__ = [
    "ActivationAlgorithm",
    "Calibrator",
    "CliCommand",
    "DeployBackend",
    "Fact",
    "Frontend",
    "LayerQuantizer",
    "LayerSimulator",
    "Processor",
    "RolledBack",
    "ShiftSearch",
    "WeightAlgorithm",
    "WeightLayout",
]
