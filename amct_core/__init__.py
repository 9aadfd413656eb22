"""The framework-neutral core of AMCT: graph, arithmetic, configuration, plugins."""

from __future__ import annotations

__version__ = "0.2.0"
