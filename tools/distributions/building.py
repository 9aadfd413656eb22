"""Builds the files of every distribution: the sdist from the checkout, the wheel from the sdist."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

from attrs import frozen

from tools.distributions.table import DISTRIBUTIONS, Distribution


@frozen
class Built:
    """The two files of a distribution."""

    distribution: Distribution
    sdist: Path
    wheel: Path

    def files_of_sdist(self) -> dict[str, bytes]:
        """Return its files by their path below the one folder that it holds."""
        found = {}
        with tarfile.open(self.sdist) as archive:
            for member in archive.getmembers():
                stream = archive.extractfile(member)
                assert stream is not None, f"{member.name} is no plain file"
                found[member.name.split("/", 1)[1]] = stream.read()
        return found

    def files_of_wheel(self) -> dict[str, bytes]:
        """Return its files by their path; those of ``*.dist-info`` too."""
        with zipfile.ZipFile(self.wheel) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def metadata(self) -> Message:
        """Return the wheel's METADATA."""
        return BytesParser().parsebytes(self.dist_info("METADATA"))

    def dist_info(self, name: str) -> bytes:
        """Return a file of the wheel's dist-info folder."""
        files = self.files_of_wheel()
        return next(
            content for path, content in files.items() if path.endswith(f".dist-info/{name}")
        )


def build_all(folder: Path) -> tuple[Built, ...]:
    """Build every distribution into ``folder``."""
    return tuple(build(each, folder) for each in DISTRIBUTIONS)


def build(distribution: Distribution, folder: Path) -> Built:
    """Build one distribution into ``folder`` with the hatchling of this environment."""
    folder.mkdir(parents=True, exist_ok=True)
    sdist = _hatchling("sdist", distribution.path, folder, distribution)
    with tempfile.TemporaryDirectory() as unpacked:
        shutil.unpack_archive(sdist, unpacked)
        (source,) = Path(unpacked).iterdir()
        wheel = _hatchling("wheel", source, folder, distribution)
    return Built(distribution, sdist, wheel)


def _hatchling(target: str, source: Path, folder: Path, distribution: Distribution) -> Path:
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", fresh]
        run(command, source)
        (built,) = Path(fresh).iterdir()
        assert built.name.startswith(f"{distribution.file_stem}-"), built
        return built.replace(folder / built.name)


def run(command: Sequence[str], folder: Path) -> None:
    """Run a command; it says something only where it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
