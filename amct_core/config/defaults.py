"""The default configuration: every layer that can be quantized is."""

from __future__ import annotations

from amct_core.config.model import Facts, QatConfig, default_layers


def default_config(facts: Facts) -> QatConfig:
    """Return the configuration that quantizes every layer of ``facts`` with AMCT's defaults."""
    return QatConfig(layers=default_layers(facts))
