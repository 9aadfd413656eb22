"""Distributions of third parties: installed into a folder of their own, without the network."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap
from pathlib import Path

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}-distribution"
version = "1"

[project.entry-points.amct]
{name} = "{name}_package"

[tool.hatch.build.targets.wheel]
packages = ["{name}_package"]
"""

PREAMBLE = "from amct_core.extensions import *\nfrom amct_core.hookspecs import hookimpl\n"


def install(distribution: Path, target: Path) -> None:
    """Build ``distribution`` and install it into ``target``, as ``pip install --target`` does.

    Nothing is downloaded: what builds it is installed already, and what it needs is not looked for.
    """
    options = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(target)]
    if importlib.util.find_spec("pip") is not None:
        installer = ["pip", *options, "--no-index", "--disable-pip-version-check"]
    else:  # an environment that uv made has no pip
        installer = ["uv", "pip", *options, "--offline", "--no-config", "--no-cache"]
        installer += ["--python", sys.executable]
    command = [sys.executable, "-m", *installer, str(distribution)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def write_distribution(folder: Path, name: str, source: str) -> Path:
    """Write a distribution whose plugin ``name`` is one module with ``source``."""
    distribution = folder / name
    package = distribution / f"{name}_package"
    package.mkdir(parents=True)
    (distribution / "pyproject.toml").write_text(PYPROJECT.format(name=name))
    (package / "__init__.py").write_text(PREAMBLE + textwrap.dedent(source))
    return distribution
