"""The framework-neutral network: values, nodes, attributes, passes and shape inference."""

from __future__ import annotations

from amct_core.graph.graph import Graph, Node, Use, Value
from amct_core.graph.passes import Pass, run_passes

__all__ = ["Graph", "Node", "Pass", "Use", "Value", "run_passes"]
