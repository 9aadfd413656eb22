"""Where ``atc`` is installed on this machine.

The order: ``PATH``, ``ASCEND_TOOLKIT_HOME``, ``ASCEND_HOME_PATH``, then the folders into which the
installers of CANN put it, for all users before those of one user, newest version first.  Sources:
hicann/ge docs/zh/user_guides/atc_tools/overview/environment_setup.md and
api/python/ge/ge/passes/runtime.py for the folder ``cann``; older versions use ``ascend-toolkit``
and, before that, one folder per version with ``atc/bin``.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
from pathlib import Path
from typing import Iterator, List, Mapping, Optional, Tuple

import attrs

HOME_VARIABLES = ("ASCEND_TOOLKIT_HOME", "ASCEND_HOME_PATH")
"""Variables that CANN's ``set_env.sh`` points at the installed toolkit."""

SYSTEM_FOLDER = Path("/usr/local/Ascend")
"""Where CANN is installed for all users."""

_BELOW_TOOLKIT = ("bin/atc", "compiler/bin/atc", "atc/bin/atc")
_LEVELS_ABOVE = 5
"""``<install>/latest/<arch>-linux/bin/atc`` lies that deep, a link followed."""

_TOOLKITS = ("cann", "ascend-toolkit/latest")


@attrs.frozen
class Atc:
    """An ``atc`` that can be run.

    Attributes:
        path: the executable.
        origin: how it was found: ``PATH``, the name of a variable, or a folder.
        environment_script: the ``set_env.sh`` of its installation, if that is there.
    """

    path: Path
    origin: str
    environment_script: Optional[Path] = None


def find_atc(environment: Mapping[str, str], system_folder: Path = SYSTEM_FOLDER) -> Optional[Atc]:
    """Return the first ``atc`` of the search order, or None.

    Args:
        environment: ``os.environ``; ``HOME`` tells where one user's installation would be.
        system_folder: where an installation for all users would be.
    """
    on_path = shutil.which("atc", path=environment.get("PATH", ""))
    if on_path is not None:
        return _found(Path(on_path), "PATH")
    for toolkit, origin in _toolkits(environment, system_folder):
        for below in _BELOW_TOOLKIT:
            candidate = toolkit / below
            if candidate.is_file() and os.access(candidate, os.X_OK):
                return _found(candidate, origin)
    return None


def _found(path: Path, origin: str) -> Atc:
    """Describe an executable; its environment script lies above it, if anywhere."""
    for folder in itertools.islice(path.resolve().parents, _LEVELS_ABOVE):
        script = folder / "set_env.sh"
        if script.is_file():
            return Atc(path, origin, script)
    return Atc(path, origin)


def _toolkits(environment: Mapping[str, str], system_folder: Path) -> Iterator[Tuple[Path, str]]:
    """Yield the folders that may hold a toolkit, with what names them."""
    for variable in HOME_VARIABLES:
        if environment.get(variable):
            yield Path(environment[variable]), variable
    folders = [system_folder]
    if environment.get("HOME"):
        folders.append(Path(environment["HOME"]) / "Ascend")
    for folder in folders:
        for toolkit in _installed_below(folder):
            yield toolkit, str(toolkit)


def _installed_below(folder: Path) -> Iterator[Path]:
    """Yield the toolkits of one installation folder: what is current, then by version."""
    for name in _TOOLKITS:
        yield folder / name
    for parent in (folder, folder / "ascend-toolkit"):
        if parent.is_dir():
            yield from sorted(parent.iterdir(), key=_version, reverse=True)


def _version(path: Path) -> Tuple[List[int], str]:
    """Return a key that orders names by the numbers in them: 8.0.10 behind 8.0.9."""
    return [int(number) for number in re.findall(r"\d+", path.name)], path.name
