"""Finds a processor by the name that ``--soc-version`` gives."""

from __future__ import annotations

import difflib
import re
from typing import Iterable, Protocol, Tuple, TypeVar

from amct_core.errors import AmctError, PluginError
from amct_core.extensions import Processor
from amct_core.registry import Registry


class Family(Protocol):
    """Processors of one kind."""

    @property
    def pattern(self) -> str:
        """Regular expression that the whole name matches."""

    @property
    def examples(self) -> Tuple[str, ...]:
        """Names that are known to exist."""


F = TypeVar("F", bound=Family)


def find_processor(processors: Registry[Processor], soc_version: str) -> Processor:
    """Return what the installed plugins know of ``soc_version``.

    Raises:
        AmctError: no family has such names; the message lists the nearest ones.
        PluginError: two families claim the name.
    """
    found = families_of(processors, soc_version)
    if len(found) > 1:
        claims = " and ".join(f"'{p.name}' (from {processors.provider(p.name)})" for p in found)
        raise PluginError(
            f"'{soc_version}' belongs to two families of processors: {claims}.",
            remedy="Uninstall one of the plugins, or ask its author for a narrower pattern.",
        )
    return found[0]


def families_of(families: Iterable[F], soc_version: str, remedy: str = "") -> Tuple[F, ...]:
    """Return the families that ``soc_version`` belongs to: at least one.

    Args:
        families: where to look.
        soc_version: a name that is not listed belongs to the family whose pattern it matches.
        remedy: what the user can do about an unknown name.

    Raises:
        AmctError: there is none; the message lists the nearest names.
    """
    known = tuple(families)
    found = tuple(family for family in known if re.fullmatch(family.pattern, soc_version))
    if found:
        return found
    by_folded = {name.lower(): name for family in known for name in family.examples}
    near = difflib.get_close_matches(soc_version.lower(), list(by_folded), n=5, cutoff=0.6)
    listed = [by_folded[name] for name in near] or list(by_folded.values())
    such_as = f", such as {', '.join(listed)}" if listed else "; no installed plugin knows any"
    raise AmctError(
        f"found {soc_version!r}; expected the name of a processor{such_as}.",
        field="--soc-version",
        remedy=remedy or "'amct plugins' lists the families of processors.",
    )
