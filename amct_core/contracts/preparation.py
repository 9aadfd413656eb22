"""What an extension does once, before it is used."""

from __future__ import annotations

from typing import Optional, Union

from amct_core.contracts.usage import Usage
from amct_core.extensions import (
    ActivationAlgorithm,
    Calibrator,
    ShiftSearch,
    WeightAlgorithm,
    WeightRounding,
)

Prepared = Union[ActivationAlgorithm, Calibrator, ShiftSearch, WeightAlgorithm, WeightRounding]


def prepare(extension: Prepared, layer: Optional[str] = None) -> None:
    """Call ``prepare`` of an extension that has one.

    Raises:
        PluginError: it failed.
    """
    if extension.prepare is not None:
        with Usage(extension, layer).running("prepare"):
            extension.prepare()
