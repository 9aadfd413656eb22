"""Post-training quantization without the framework: networks run in the simulator."""

from __future__ import annotations

from cpu_sim_backend.ptq.engine import SimulatorEngine

__all__ = ["SimulatorEngine"]
