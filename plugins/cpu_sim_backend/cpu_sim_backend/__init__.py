"""Runs deployable models in plain NumPy integers: the specification in code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cpu_sim_backend.simulator import Simulator

__version__ = "0.1.0"
__all__ = ["Simulator"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the plugin of this package is imported whenever ``amct`` starts.
    if name == "Simulator":
        from cpu_sim_backend.simulator import Simulator

        return Simulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
