"""An environment that knows nothing of the checkout: what is installed into it comes from files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from attrs import frozen

from tools import bootstrap
from tools.distributions.building import run
from tools.distributions.table import ROOT

LOCK = ROOT / "requirements" / "dev.txt"


@frozen
class Environment:
    """A virtual environment, and a home and a working folder that were empty at first.

    Attributes:
        folder: holds the three.
        version: of its CPython, such as ``3.9``.
    """

    folder: Path
    version: str

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "environment" / "bin" / "python"

    @property
    def work(self) -> Path:
        """Where commands run."""
        return self.folder / "work"

    def install(self, built: Path, *requirements: str) -> None:
        """Install from the files in ``built``, and what they need as wheels in locked versions.

        uv looks for the latter where it always does.  It may compile nothing.
        """
        constraints = self.folder / "constraints.txt"
        constraints.write_text(locked_versions(LOCK.read_text(encoding="utf-8")))
        options = ["--no-config", "--quiet", "--no-build", "--python", str(self.python)]
        options += ["--find-links", str(built), "--constraint", str(constraints)]
        run([*uv(), "pip", "install", *options, *requirements], self.folder)

    def amct(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``amct`` in the working folder."""
        command = [str(self.python.parent / "amct"), *arguments]
        return subprocess.run(
            command, cwd=self.work, env=self.variables(), capture_output=True, text=True
        )

    def installed(self) -> dict[str, str]:
        """Return the versions of what is installed, by name."""
        code = (
            "import importlib.metadata as m\n"
            "for d in m.distributions(): print(d.metadata['Name'], d.version)"
        )
        listing = subprocess.run(
            [str(self.python), "-c", code],
            cwd=self.work,
            env=self.variables(),
            capture_output=True,
            text=True,
            check=True,
        )
        return dict(line.split() for line in listing.stdout.splitlines())

    def variables(self) -> dict[str, str]:
        """Return the variables of a user who has just logged in."""
        path = os.pathsep.join([str(self.python.parent), os.defpath])
        return {"PATH": path, "HOME": str(self.folder / "home"), "LANG": "C.UTF-8"}


def create(folder: Path, version: str) -> Environment:
    """Make an environment in ``folder``, with the CPython that the set-up would take."""
    environment = Environment(folder, version)
    for name in ("home", "work"):
        (folder / name).mkdir(parents=True)
    _, python = bootstrap.find_tools(version)
    options = ["--no-config", "--quiet", "--python", python]
    run([*uv(), "venv", *options, str(folder / "environment")], folder)
    return environment


def uv() -> list[str]:
    """Return the command of the uv that is locked."""
    return [sys.executable, "-m", "uv"]


def locked_versions(lock: str) -> str:
    """Return a lock file without its hashes."""
    lines = re.findall(r"^[\w.-]+==[^\\\n]+", lock, re.MULTILINE)
    return "\n".join(line.strip() for line in lines) + "\n"
