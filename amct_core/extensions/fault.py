"""Why a framework has ended its process, as its log tells it."""

from __future__ import annotations

from typing import Optional

import attrs


@attrs.frozen
class Fault:
    """What a framework said before it ended the process.

    Attributes:
        sentence: its own, which says what is wrong.
        layer: that it concerns, if the log tells.
        file: that it concerns, if the log tells.
        remedy: what the user can do.
    """

    sentence: str
    layer: Optional[str] = None
    file: Optional[str] = None
    remedy: str = ""
