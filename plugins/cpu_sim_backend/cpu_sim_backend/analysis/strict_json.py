"""JSON that every reader takes: without NaN and infinities, which the standard does not know."""

from __future__ import annotations

import json
import math
from typing import Any


def strict(value: Any) -> Any:
    """Return ``value`` with what JSON cannot say in words that it can.

    Infinities become the strings ``"inf"`` and ``"-inf"``, which Python's ``float`` and others
    read; NaN, which stands for what could not be measured, becomes None.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, dict):
        return {str(key): strict(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(each) for each in value]
    return value


def dumps(value: Any) -> str:
    """Return ``value`` as JSON text."""
    return json.dumps(strict(value), indent=2, allow_nan=False)
