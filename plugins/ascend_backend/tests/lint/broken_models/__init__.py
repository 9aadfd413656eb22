"""A model that breaks no rule, and for each rule models that break it and no other.

Each module registers the models of some rules; they are in ``CASES`` as soon as it is imported.
"""

from __future__ import annotations

from plugins.ascend_backend.tests.lint.broken_models import (
    detection_outputs,
    fusion,
    graph,
    processors,
    quantized,
    refusals,
    weights_file,
)
from plugins.ascend_backend.tests.lint.broken_models.detection_outputs import DETECTIONS, detection
from plugins.ascend_backend.tests.lint.broken_models.whole_model import (
    CASES,
    Broken,
    Entry,
    Model,
    blob,
    floats,
    words,
)

__all__ = [
    "CASES",
    "DETECTIONS",
    "Broken",
    "Entry",
    "Model",
    "blob",
    "detection",
    "detection_outputs",
    "floats",
    "fusion",
    "graph",
    "processors",
    "quantized",
    "refusals",
    "weights_file",
    "words",
]
