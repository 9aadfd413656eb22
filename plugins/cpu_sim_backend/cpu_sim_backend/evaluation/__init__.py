"""``amct evaluate``: float32, fake-quant and integer side by side on the user's data."""

from __future__ import annotations

from cpu_sim_backend.evaluation.evaluate import evaluate
from cpu_sim_backend.evaluation.options import EvaluationOptions
from cpu_sim_backend.evaluation.result import ColumnResult, Evaluation, OutputResult

__all__ = ["ColumnResult", "Evaluation", "EvaluationOptions", "OutputResult", "evaluate"]
