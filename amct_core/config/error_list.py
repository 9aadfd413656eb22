"""Tells all that is wrong with a configuration at once, one error per layer."""

from __future__ import annotations

import contextlib
from typing import Iterator, List

import attrs

from amct_core.errors import ConfigError


@attrs.frozen
class ErrorList:
    """Errors of one configuration, to be raised together."""

    errors: List[ConfigError] = attrs.field(factory=list)

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """Keep a ConfigError that the block raises; :meth:`raise_all` raises it."""
        try:
            yield
        except ConfigError as error:
            self.errors.append(error)

    def raise_all(self) -> None:
        """Raise what was kept: a single error as it is, several as one that lists them.

        Raises:
            ConfigError: there was one.
        """
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            listed = "\n".join(f"  {error}" for error in self.errors)
            raise ConfigError(
                f"there are {len(self.errors)} errors:\n{listed}", file=self.errors[0].file
            )
