"""What all attribute classes share."""

from __future__ import annotations

from typing import Tuple

import attrs

Pair = Tuple[int, int]
"""(height, width), in elements."""


@attrs.frozen
class Attributes:
    """Base of all attribute classes."""


@attrs.frozen
class Opaque(Attributes):
    """Parameters that core has no use for; the frontend keeps them."""
