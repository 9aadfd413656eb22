"""What a framework that is installed can do, and what it cannot."""

from __future__ import annotations

from typing import Tuple

import attrs

YES, NO, CRASHED = "yes", "no", "crashed"
"""The answers."""


@attrs.frozen
class Capability:
    """The answer to one question about the installed framework.

    Attributes:
        name: in lower case with underscores, for programs.
        question: for people.
        answer: :data:`YES`, :data:`NO`, or :data:`CRASHED`: the framework ended the process that
            asked.
        found: what belongs to the answer, such as the layer types.
        sentence: what the framework said when it ended the process, or why the answer is no.
    """

    name: str
    question: str
    answer: str
    found: Tuple[str, ...] = ()
    sentence: str = ""

    @property
    def there(self) -> bool:
        """Whether the answer is yes."""
        return self.answer == YES
