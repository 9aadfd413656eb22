"""What ``amct doctor`` looks at: one function per concern, each giving one line or more.

Nothing is imported to be looked at: pycaffe takes seconds and may abort the process, and versions
are known to the installer's metadata.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence

import attrs

from amct_core.cli.installing import (
    DISTRIBUTIONS,
    installed_version,
    ours,
    pip_install,
    requirement,
)
from amct_core.errors import PluginError
from amct_core.extensions.capability import CRASHED, Capability
from amct_core.logging import FILE_NAME, FOLDER_VARIABLE, folder
from amct_core.plugins import KINDS, host, registries

PYTHON_MIN, PYTHON_MAX = (3, 9), (3, 13)

CAFFE_WHEEL = "kendryte-caffe"
"""The distribution of Caffe that is installed by default."""

CAFFE_WHEEL_PYTHON_MAX = (3, 9)

CAFFE_LIBRARIES = ("numpy<2", "protobuf<=3.20.3")
"""What that distribution needs of :data:`NEEDED_LIBRARIES`, in their order."""

NEEDED_LIBRARIES = ("numpy", "protobuf")
"""What everything needs."""

OPTIONAL_LIBRARIES = (
    "scikit-learn",
    "numba",
    "onnx",
    "jinja2",
    "pillow",
    "h5py",
    "lmdb",
    "mpi4py",
)
"""What only some purposes need."""

DECISIVE_CAPABILITIES = ("python_layers", "several_processes")
"""What a framework must be able to do for some purpose."""


@attrs.frozen
class Check:
    """One line of the report.

    Attributes:
        name: what was looked at.
        good: whether it can be used.
        found: what was found.
        remedy: for a check that is not good: what to do.
        requirements: what pip has to install, where that is the remedy.
        absent: whether it is merely not there; otherwise it is there, and broken.
    """

    name: str
    good: bool
    found: str
    remedy: str = ""
    requirements: tuple[str, ...] = ()
    absent: bool = False


def all_checks() -> tuple[Check, ...]:
    """Make every check."""
    return (
        check_python(sys.version_info[:2]),
        *map(check_distribution, DISTRIBUTIONS),
        *map(check_library, NEEDED_LIBRARIES),
        check_caffe(sys.version_info[:2]),
        *check_caffe_wheel(),
        *check_plugins(),
        check_log_folder(os.getcwd()),
        *map(check_library, OPTIONAL_LIBRARIES),
        check_mpiexec(),
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
        return _not_installed(name, ours(name))
    return Check(
        name,
        wanted in (version, None),  # without a core, that line says so
        version,
        f"It must be of the version of amct-core: {pip_install(ours(name))}",
        (ours(name),),
    )


def check_library(name: str) -> Check:
    """A library is installed."""
    version = installed_version(name)
    if version is not None:
        return Check(name, True, version)
    if installed_version(CAFFE_WHEEL) is None:
        return _not_installed(name, requirement(name))
    if name in NEEDED_LIBRARIES:
        return _not_installed(name, CAFFE_LIBRARIES[NEEDED_LIBRARIES.index(name)])
    # Without being told, pip would bring a protobuf or a NumPy that the Caffe wheel cannot use.
    return _not_installed(name, requirement(name), *CAFFE_LIBRARIES)


def _not_installed(name: str, *requirements: str) -> Check:
    remedy = pip_install(*requirements)
    return Check(name, False, "not installed", remedy, requirements, absent=True)


def check_caffe(python: tuple[int, int]) -> Check:
    """A module called caffe can be found; training and running fake-quant models need it."""
    try:
        spec = importlib.util.find_spec("caffe")
    except ValueError as error:  # a stub in sys.modules
        return Check("pycaffe", False, str(error), "Remove what replaces the module caffe.")
    if spec is None or spec.origin is None:  # a folder called caffe is no module
        return _no_caffe(python)
    return Check("pycaffe", True, spec.origin)


def _no_caffe(python: tuple[int, int]) -> Check:
    """What to do follows from the interpreter: there is no Caffe for newer ones."""
    own = "or put a Caffe built with Python layers (WITH_PYTHON_LAYER=1) on PYTHONPATH."
    if python <= CAFFE_WHEEL_PYTHON_MAX:
        wanted = (CAFFE_WHEEL, *CAFFE_LIBRARIES)
        remedy = f"{pip_install(*wanted)}; {own}"
        return Check("pycaffe", False, "not found", remedy, wanted, absent=True)
    return Check(
        "pycaffe",
        False,
        "not found",
        f"pip's Caffe is for CPython 3.9, and this is {python[0]}.{python[1]}. Make an environment "
        f"with that, and there: {pip_install(ours('amct[caffe]'))}; {own}",
        absent=True,
    )


def check_mpiexec() -> Check:
    """There is a program that starts the processes of a training; pip puts it beside Python."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    program = shutil.which("mpiexec", path=path)
    if program is None:
        return attrs.evolve(_not_installed("mpiexec", requirement("mpich")), found="not found")
    return Check("mpiexec", True, program)


def check_caffe_wheel() -> Iterator[Check]:
    """The libraries are old enough for the Caffe wheel, where that is what is installed."""
    if installed_version(CAFFE_WHEEL) is None:
        return
    for library, newest, wanted in zip(NEEDED_LIBRARIES, ((1,), (3, 20, 3)), CAFFE_LIBRARIES):
        version = installed_version(library)
        if version is None:
            continue  # reported already
        good = version_numbers(version)[: len(newest)] <= newest
        yield Check(
            f"{CAFFE_WHEEL} with {library}",
            good,
            f"{library} {version}, {CAFFE_WHEEL} needs {wanted}",
            pip_install(wanted),
            (wanted,),
        )


def check_plugins() -> Iterator[Check]:
    """Every plugin loads, and every kind of extension can be listed."""
    plugin_host = host()
    yield Check("plugins", True, ", ".join(plugin_host.entry_points))
    for failed in plugin_host.failed:
        # Of two plugins with one name, the other one works.
        works = failed.name in plugin_host.entry_points
        yield Check(
            f"plugin {failed.name}{f' ({failed.entry_point})' if works else ''}",
            False,
            f"{failed.entry_point}: {failed.reason}",
            failed.remedy,
        )
    for kind in KINDS:
        name = kind.replace("_", " ")
        try:
            registry = getattr(registries(), kind)
        except PluginError as error:
            yield Check(name, False, error.problem, error.remedy)
            continue
        for plugin, why in registry.left_out.items():
            yield Check(f"plugin {plugin}", False, why.problem, why.remedy)
        if kind in ("frontends", "deploy_backends") and not registry.names():
            yield Check(name, False, "none", "Install a plugin that provides one.", absent=True)


def check_frameworks(frameworks: Mapping[str, Sequence[Capability]]) -> Iterator[Check]:
    """A framework that is installed answers at least one of the questions about it.

    One that answers none is there, and cannot be used: a library that it needs is missing, say.
    Most answers decide nothing; where one of :data:`DECISIVE_CAPABILITIES` is not there, that is a
    check that fails.

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
            continue
        for each in capabilities:
            if each.name in DECISIVE_CAPABILITIES and not each.there:
                yield Check(
                    each.name,
                    False,
                    f"{each.question} {each.answer}: {each.sentence}",
                    "Use a Caffe that can; docs/other-caffes.md says how each is built.",
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


def version_numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: ``3.20.3rc1`` gives (3, 20)."""
    numbers = []
    for part in version.split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)
