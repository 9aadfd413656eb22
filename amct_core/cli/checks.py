"""What ``amct doctor`` looks at: one function per concern, each giving one line or more.

Nothing is imported to be looked at: pycaffe takes seconds and may abort the process, and versions
are known to the installer's metadata.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata

import attrs

from amct_core.errors import PluginError
from amct_core.extensions.capability import CRASHED, Capability
from amct_core.logging import FILE_NAME, FOLDER_VARIABLE, folder
from amct_core.plugins import KINDS, host, registries

PYTHON_MIN, PYTHON_MAX = (3, 9), (3, 13)

DISTRIBUTIONS = ("amct-core", "amct-caffe", "amct-ascend-backend", "amct-cpu-sim-backend")
"""What the whole workflow is made of."""

CAFFE_WHEEL = "kendryte-caffe"
"""The distribution of Caffe that is installed by default; CPython 3.6 to 3.9."""


@attrs.frozen
class Check:
    """One line of the report; ``remedy`` is for a check that is not good."""

    name: str
    good: bool
    found: str
    remedy: str = ""


def all_checks() -> tuple[Check, ...]:
    """Make every check."""
    return (
        check_python(sys.version_info[:2]),
        *map(check_distribution, DISTRIBUTIONS),
        check_library("numpy"),
        check_library("protobuf"),
        check_caffe(),
        *check_caffe_wheel(),
        *check_plugins(),
        check_log_folder(os.getcwd()),
    )


def check_python(version: tuple[int, int]) -> Check:
    """The running interpreter is one that is tested."""
    supported = f"{PYTHON_MIN[0]}.{PYTHON_MIN[1]} to {PYTHON_MAX[0]}.{PYTHON_MAX[1]}"
    return Check(
        "Python",
        PYTHON_MIN <= version <= PYTHON_MAX,
        platform.python_version(),
        f"Use CPython {supported}; training with the default Caffe needs 3.9.",
    )


def check_distribution(name: str) -> Check:
    """A distribution of ours is installed, in the version of the core."""
    version, wanted = installed_version(name), installed_version("amct-core")
    if version is None:
        return Check(name, False, "not installed", f"pip install {name}")
    return Check(
        name,
        wanted in (version, None),  # without a core, that line says so
        version,
        f"It must be of the version of amct-core: pip install {name}=={wanted}",
    )


def check_library(name: str) -> Check:
    """A library that every step needs is installed."""
    version = installed_version(name)
    return Check(name, version is not None, version or "not installed", f"pip install {name}")


def check_caffe() -> Check:
    """A module called caffe can be found; training and running fake-quant models need it."""
    try:
        spec = importlib.util.find_spec("caffe")
    except ValueError as error:  # a stub in sys.modules
        return Check("pycaffe", False, str(error), "Remove what replaces the module caffe.")
    if spec is None:
        return Check(
            "pycaffe",
            False,
            "not found",
            f"On CPython 3.9: pip install {CAFFE_WHEEL} 'numpy<2' 'protobuf<=3.20.3'; or put a "
            "Caffe built with Python layers (WITH_PYTHON_LAYER=1) on PYTHONPATH.",
        )
    places = spec.submodule_search_locations
    return Check("pycaffe", True, spec.origin or (next(iter(places)) if places else "found"))


def check_caffe_wheel() -> Iterator[Check]:
    """The libraries are old enough for the Caffe wheel, where that is what is installed."""
    if installed_version(CAFFE_WHEEL) is None:
        return
    for library, newest, wanted in (
        ("numpy", (1,), "numpy<2"),
        ("protobuf", (3, 20, 3), "protobuf<=3.20.3"),
    ):
        version = installed_version(library)
        if version is None:
            continue  # reported already
        good = version_numbers(version)[: len(newest)] <= newest
        yield Check(
            f"{CAFFE_WHEEL} with {library}",
            good,
            f"{library} {version}, {CAFFE_WHEEL} needs {wanted}",
            f"pip install '{wanted}'",
        )


def check_plugins() -> Iterator[Check]:
    """Every plugin loads, and every kind of extension can be listed."""
    try:
        plugin_host = host()
    except PluginError as error:
        yield Check("plugins", False, error.problem, error.remedy)
        return
    yield Check("plugins", True, ", ".join(plugin_host.entry_points))
    for failed in plugin_host.failed:
        yield Check(
            f"plugin {failed.name}",
            False,
            f"{failed.entry_point}: {failed.reason}",
            "Install what it misses, or uninstall it.",
        )
    for kind in KINDS:
        name = kind.replace("_", " ")
        try:
            registry = getattr(registries(), kind)
        except PluginError as error:
            yield Check(name, False, error.problem, error.remedy)
            continue
        if kind in ("frontends", "deploy_backends") and not registry.names():
            yield Check(name, False, "none", "Install a plugin that provides one.")


def check_frameworks(frameworks: Mapping[str, Sequence[Capability]]) -> Iterator[Check]:
    """A framework that is installed answers at least one of the questions about it.

    One that answers none is there, and cannot be used: a library that it needs is missing, say.

    Args:
        frameworks: what was asked, by frontend; nothing where the framework is not installed.
    """
    for name, capabilities in frameworks.items():
        if capabilities and all(each.answer == CRASHED for each in capabilities):
            yield Check(
                f"framework of {name}",
                False,
                capabilities[0].sentence,
                "Repair its installation: nothing can be trained with it.",
            )


def check_log_folder(directory: str) -> Check:
    """The log file can be written in ``directory``."""
    log_folder = os.path.join(directory, folder(os.environ))
    file = os.path.join(log_folder, FILE_NAME)
    target = file
    while not os.path.exists(target):
        target = os.path.dirname(target)
    usable = os.path.isfile(target) if target == file else os.path.isdir(target)
    return Check(
        "log file",
        usable and os.access(target, os.W_OK),
        file,
        f"Make {target} writable, run in another directory, or set {FOLDER_VARIABLE}.",
    )


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def version_numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: ``3.20.3rc1`` gives (3, 20)."""
    numbers = []
    for part in version.split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)
