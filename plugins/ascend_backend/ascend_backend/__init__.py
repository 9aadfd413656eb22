"""Deployable models for Ascend processors: what ATC reads."""

from __future__ import annotations

__version__ = "0.2.0"
