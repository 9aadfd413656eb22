"""What a check is, and what it finds."""

from __future__ import annotations

from typing import Callable, Generic, Iterable, Iterator, Optional, Sequence, Type, TypeVar

import attrs

from amct_core.errors import AmctError

S = TypeVar("S")


@attrs.frozen
class Violation:
    """One reason for a refusal.

    Attributes:
        field: the field at fault, if there is one.
        problem: what was found, and what was expected.
        remedy: what to do.
        layer, file: where, if that is not the file that the whole refusal is about.
    """

    field: Optional[str]
    problem: str
    remedy: str
    layer: Optional[str] = None
    file: Optional[str] = None

    @classmethod
    def of(cls, error: AmctError) -> Violation:
        """Return ``error`` as a violation."""
        return cls(error.field, error.problem, error.remedy, error.layer, error.file)

    def __str__(self) -> str:
        if self.layer is None and self.file is None:
            return f"{self.field}: {self.problem} {self.remedy}".strip()
        return str(self.as_error(AmctError))

    def as_error(self, kind: Type[AmctError]) -> AmctError:
        """Return the violation as an error of its own."""
        return kind(
            self.problem, file=self.file, layer=self.layer, field=self.field, remedy=self.remedy
        )


@attrs.frozen
class Check(Generic[S]):
    """One thing that is looked at.

    Attributes:
        name: a short one, for the documentation and the tests.
        refuses: what is refused, for the documentation.
        find: yields each violation; it reads, but writes and trains nothing.
    """

    name: str
    refuses: str
    find: Callable[[S], Iterable[Violation]]


def find_all(checks: Sequence[Check[S]], subject: S) -> Iterator[Violation]:
    """Yield what each check finds, in the order of the list."""
    for check in checks:
        yield from check.find(subject)


def listed(violations: Iterable[Violation]) -> str:
    """Return the violations as lines of a message."""
    return "\n".join(f"  - {violation}" for violation in violations)
