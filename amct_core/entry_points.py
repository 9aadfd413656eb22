"""Where plugins come from: their entry points, and the distributions that bring these."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from typing import Any

from amct_core import hookspecs

OWN = {
    "ascend": "ascend_backend.plugin",
    "caffe": "amct_caffe.plugin",
    "cpu_sim": "cpu_sim_backend.plugin",
}
"""The project's own plugins.  What they are called, and what they provide, no other takes away."""

EntryPoint = importlib.metadata.EntryPoint


def installed() -> list[EntryPoint]:
    """Return the entry points of all installed plugins, each once, in order of their names.

    Of several with one name, the project's own comes first.
    """
    found: Any = importlib.metadata.entry_points()
    if hasattr(found, "select"):
        group = found.select(group=hookspecs.PROJECT)
    else:  # CPython 3.9
        group = found.get(hookspecs.PROJECT, ())
    # A distribution that is on the path twice (editable and built) shows up twice.
    unique = {
        (point.name, not is_own(point.name, point.value), point.value): point for point in group
    }
    return [unique[key] for key in sorted(unique)]


def is_own(name: str, value: str) -> bool:
    """Return whether a plugin is one of the project's own."""
    return OWN.get(name) == value


def are_own(providers: str) -> bool:
    """Return whether all of one or more plugins, as a registry names them, are the project's."""
    return set(providers.split(", ")) <= set(OWN)


def told(name: str, value: str) -> str:
    """Return an entry point and what to give to ``pip uninstall``: ``pkg.hooks (from my-pkg)``."""
    names = distributions(name, value)
    return f"{value} (from {' and '.join(names)})" if names else value


def distributions(name: str, value: str) -> list[str]:
    """Return the names of the installed distributions that have an entry point, sorted.

    Those of CPython 3.9 do not know their distribution.
    """
    return sorted(
        {
            str(each.metadata["Name"])
            for each in importlib.metadata.distributions()
            if _has(each.entry_points, name, value)
        }
    )


def _has(points: Iterable[EntryPoint], name: str, value: str) -> bool:
    return any(
        (each.group, each.name, each.value) == (hookspecs.PROJECT, name, value) for each in points
    )
