"""Tells all that is wrong with a configuration at once."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator, List, Optional, Tuple, TypeVar

import attrs

from amct_core.errors import ConfigError

T = TypeVar("T")


class ConfigErrors(ConfigError):
    """Several errors of one configuration.

    Attributes:
        errors: each of them.
    """

    errors: Tuple[ConfigError, ...] = ()


@attrs.frozen
class ErrorList:
    """Errors of one configuration, to be raised together."""

    errors: List[ConfigError] = attrs.field(factory=list)

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """Keep a ConfigError that the block raises; :meth:`raise_all` raises it."""
        try:
            yield
        except ConfigErrors as error:
            self.errors.extend(error.errors)
        except ConfigError as error:
            self.errors.append(error)

    def value(self, read: Callable[..., Optional[T]], *arguments: Any) -> Optional[T]:
        """Return what ``read`` returns, or None where it raises a ConfigError, which is kept."""
        with self.collecting():
            return read(*arguments)
        return None

    def raise_all(self) -> None:
        """Raise what was kept: a single error as it is, several as one that lists them.

        Raises:
            ConfigError: there was one.
        """
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            listed = "\n".join(f"  {error}" for error in self.errors)
            error = ConfigErrors(
                f"there are {len(self.errors)} errors:\n{listed}", file=self.errors[0].file
            )
            error.errors = tuple(self.errors)
            raise error
