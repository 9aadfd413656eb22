"""What a watched process leaves for the one that watches it, whatever ends it.

It is memory that both share: writing costs next to nothing, and what is written is there when the
writer has been killed.
"""

from __future__ import annotations

import json
import mmap
import struct
from typing import Any, Dict, Optional

_SIZE = 1 << 14
_NOTHING = -1
_ITERATION = struct.Struct("=q")


class Board:
    """Some facts, and the number of the iteration; to be made before the fork."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SIZE)
        _ITERATION.pack_into(self._memory, 0, _NOTHING)

    @property
    def iteration(self) -> Optional[int]:
        """The iteration that training is at; None before it begins."""
        (found,) = _ITERATION.unpack_from(self._memory, 0)
        return None if found == _NOTHING else int(found)

    @iteration.setter
    def iteration(self, value: int) -> None:
        _ITERATION.pack_into(self._memory, 0, value)

    def facts(self) -> Dict[str, Any]:
        """Return the facts; none where the writer was killed while it wrote some."""
        text = self._memory[_ITERATION.size :].split(b"\0", 1)[0]
        try:
            found: Dict[str, Any] = json.loads(text) if text else {}
        except ValueError:
            return {}
        return found

    def write(self, **facts: Any) -> None:
        """Add facts, or replace those of the same names; JSON of some thousand bytes in all."""
        text = json.dumps({**self.facts(), **facts}).encode("ascii") + b"\0"
        if len(text) <= _SIZE - _ITERATION.size:
            self._memory[_ITERATION.size : _ITERATION.size + len(text)] = text
