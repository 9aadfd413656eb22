"""What is wrong with a solver."""

from __future__ import annotations

import attrs


@attrs.frozen
class Violation:
    """One reason why a solver will not do: the field, what it is, and what to do."""

    field: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.field}: {self.problem} {self.remedy}"
