"""A deployable model as an ONNX model of standard operators, with the same integers.

Two files say what quantized and float layers become; both write into the builder.
"""

from __future__ import annotations

from cpu_sim_backend.onnx_export.export import export

__all__ = ["export"]
