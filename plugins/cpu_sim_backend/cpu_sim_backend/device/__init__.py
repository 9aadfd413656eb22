"""What a processor computes otherwise than the deployable model says.

A processor's behaviour is a rewriting of the graph: words of DeQuant are changed, Quants marked as
float16, and quantized layers replaced by float ones between two roundings to float16.  The engines
run the result like any other graph.
"""

from __future__ import annotations

from cpu_sim_backend.device.deviations import Deviation, DeviceGraph
from cpu_sim_backend.device.rewriting import as_computed_by

__all__ = ["Deviation", "DeviceGraph", "as_computed_by"]
