"""Finds the family of a processor by the name that ``--soc-version`` gives."""

from __future__ import annotations

import difflib
import re
from typing import Iterable, Tuple, TypeVar

from amct_core.errors import AmctError, PluginError
from amct_core.extensions import ProcessorFamily
from amct_core.registry import Registry

F = TypeVar("F", bound=ProcessorFamily)


def find_family(families: Registry[ProcessorFamily], soc_version: str) -> ProcessorFamily:
    """Return the family that ``soc_version`` belongs to, of all that plugins give.

    Raises:
        AmctError: no family has such names; the message lists the nearest ones.
        PluginError: two families claim the name.
    """
    found = families_of(families, soc_version)
    if len(found) > 1:
        claims = " and ".join(f"'{f.name}' (from {families.provider(f.name)})" for f in found)
        raise PluginError(
            f"'{soc_version}' belongs to two families of processors: {claims}.",
            remedy="Uninstall one of the plugins, or ask its author for a narrower pattern.",
        )
    return found[0]


def check_patterns(families: Registry[ProcessorFamily]) -> None:
    """Refuse families of which one claims a processor that another knows by name.

    Raises:
        PluginError: naming both, their plugins and the processor.
    """
    for family in families:
        for name in family.examples:
            find_family(families, name)


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
