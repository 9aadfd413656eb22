"""How to get what is not installed: our distributions, and the libraries that they name."""

from __future__ import annotations

import re
import shlex
from importlib import metadata

DISTRIBUTIONS = ("amct-core", "amct-caffe", "amct-ascend-backend", "amct-cpu-sim-backend")
"""What the whole workflow is made of; the distribution ``amct`` brings them."""

FOLDER = "FOLDER"
"""Stands for a path in commands."""

ABOUT_FOLDER = f"{FOLDER} is where the built distributions are, such as dist/ after 'make dist'."


def pip_install(*requirements: str) -> str:
    """Return the command that installs ``requirements``.

    The project is on no package index yet, so that its own distributions come from a folder, and a
    stranger's of the same name does not come in their place.
    """
    ours = any(re.split(r"[\[=<>!~]", each)[0] in (*DISTRIBUTIONS, "amct") for each in requirements)
    source = ["--find-links", FOLDER] if ours else []
    return shlex.join(["pip", "install", *source, *requirements])


def requirement(library: str) -> str:
    """Return how our distributions ask for a library: ``jinja2>=3.1``; its name if none does."""
    for distribution in DISTRIBUTIONS:
        for each in _requirements(distribution):
            asked = each.split(";")[0].strip()
            if re.split(r"[\[=<>!~ ]", asked)[0].lower() == library:
                return asked
    return library


def ours(distribution: str) -> str:
    """Return the requirement of a distribution of ours, in the version of the core."""
    version = installed_version("amct-core")
    return distribution if version is None else f"{distribution}=={version}"


def how_to_install(distribution: str) -> str:
    """Return what a remedy says: the command, and what is meant by the folder in it.

    Args:
        distribution: one of ours, with extras or without: ``amct[onnx]``.
    """
    return f"{pip_install(ours(distribution))} ({ABOUT_FOLDER.rstrip('.')})"


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _requirements(distribution: str) -> list[str]:
    try:
        return metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return []
