"""The typed objects that plugins return from hooks, one small class per kind.

Importing this package is cheap: it imports neither numpy nor a plugin.
"""

from __future__ import annotations

from amct_core.extensions.algorithms import (
    ActivationAlgorithm,
    Calibrator,
    ShiftSearch,
    WeightAlgorithm,
    WeightRounding,
)
from amct_core.extensions.backend import DeployBackend
from amct_core.extensions.capability import Capability
from amct_core.extensions.command import CliCommand
from amct_core.extensions.fallback import FallbackStrategy, Sensitivity
from amct_core.extensions.fault import Fault
from amct_core.extensions.frontend import Frontend
from amct_core.extensions.layer_type import (
    LayerType,
    OnnxWriter,
    PartInput,
    Quantization,
    Role,
    Sign,
    WeightAxes,
    same_shape,
)
from amct_core.extensions.learned import LearnedParameter, StateVariable
from amct_core.extensions.lint_rule import LintProblem, LintRule
from amct_core.extensions.network_pass import NetworkPass
from amct_core.extensions.processor_family import Fact, Merged, ProcessorFamily, RolledBack
from amct_core.extensions.report import Evaluator, ReportSection, SectionContent

__all__ = [
    "ActivationAlgorithm",
    "Calibrator",
    "Capability",
    "CliCommand",
    "DeployBackend",
    "Evaluator",
    "Fact",
    "FallbackStrategy",
    "Fault",
    "Frontend",
    "LayerType",
    "LearnedParameter",
    "LintProblem",
    "LintRule",
    "Merged",
    "NetworkPass",
    "OnnxWriter",
    "PartInput",
    "ProcessorFamily",
    "Quantization",
    "ReportSection",
    "Role",
    "RolledBack",
    "SectionContent",
    "Sensitivity",
    "ShiftSearch",
    "Sign",
    "StateVariable",
    "WeightAlgorithm",
    "WeightAxes",
    "WeightRounding",
    "same_shape",
]
