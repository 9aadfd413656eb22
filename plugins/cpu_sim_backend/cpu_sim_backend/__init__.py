"""Runs deployable models in plain NumPy integers: the specification in code."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cpu_sim_backend.data import (
        ArraySource,
        DataSource,
        ImageFolderSource,
        NpzSource,
        Preprocessing,
    )
    from cpu_sim_backend.simulator import Simulator

__version__ = "0.2.0"
__all__ = [
    "ArraySource",
    "DataSource",
    "ImageFolderSource",
    "NpzSource",
    "Preprocessing",
    "Simulator",
]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the plugin of this package is imported whenever ``amct`` starts.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "simulator" if name == "Simulator" else "data"
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
