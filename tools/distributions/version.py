"""The version, which all distributions share: ``python -m tools.distributions.version 0.3.0``.

It is ``__version__`` of ``amct_core``.  An sdist must build alone, so that each distribution has a
copy, and each requires the others with ``==``; this writes them all, and a test compares them.
Without an argument, the command says which version it is.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from tools.distributions.table import DISTRIBUTIONS, ROOT

_VERSION = r"(\d+\.\d+\.\d+\w*)"


@frozen
class Place:
    """A version that stands in a file, between two offsets of its text."""

    path: Path
    start: int
    end: int
    version: str


def places(root: Path = ROOT) -> Iterator[Place]:
    """Yield every place of the version in a checkout."""
    for each in DISTRIBUTIONS:
        folder = root / each.folder
        if each.package is not None:
            yield from _found(
                folder / each.package / "__init__.py", rf'^__version__ = "{_VERSION}"$'
            )
        project = folder / "pyproject.toml"
        # The version of the distribution without code, and that of the change log.
        yield from _found(project, rf'^version = "{_VERSION}"$')
        names = "|".join(other.name for other in DISTRIBUTIONS)
        yield from _found(project, rf'"(?:{names})(?:\[[a-z0-9,]+\])?=={_VERSION}"')


def current(root: Path = ROOT) -> str:
    """Return the version."""
    return next(each.version for each in places(root) if each.path.parent == root / "amct_core")


def write(version: str, root: Path = ROOT) -> None:
    """Write the version everywhere.

    Raises:
        ValueError: it is not of the form ``1.2.3`` or ``1.2.3rc1``.
    """
    if not re.fullmatch(_VERSION, version):
        raise ValueError(f"the version is '{version}'; expected one such as 0.3.0 or 0.3.0rc1")
    # From the end of a file to its beginning, so that offsets stay what they are.
    for place in sorted(places(root), key=lambda place: -place.start):
        text = place.path.read_text(encoding="utf-8")
        changed = text[: place.start] + version + text[place.end :]
        place.path.write_text(changed, encoding="utf-8")


def _found(path: Path, pattern: str) -> Iterator[Place]:
    text = path.read_text(encoding="utf-8")
    for match in re.finditer(pattern, text, re.MULTILINE):
        yield Place(path, match.start(1), match.end(1), match[1])


def main() -> None:
    """Write the version that is given, or print it."""
    if len(sys.argv) > 1:
        try:
            write(sys.argv[1])
        except ValueError as error:
            sys.exit(str(error))
    print(current())


if __name__ == "__main__":
    main()
