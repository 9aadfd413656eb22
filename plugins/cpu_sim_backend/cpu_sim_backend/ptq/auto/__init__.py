"""``amct ptq auto``: searches for a quantization that holds an accuracy."""

from __future__ import annotations

from cpu_sim_backend.ptq.auto.run import AutoOptions, AutoResult, quantize_automatically

__all__ = ["AutoOptions", "AutoResult", "quantize_automatically"]
