"""Which distributions there are, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from attrs import frozen

ROOT = Path(__file__).resolve().parents[2]


@frozen
class Distribution:
    """One distribution.

    Attributes:
        name: as pip knows it.
        folder: of its pyproject.toml, relative to the checkout.
        package: what it installs, relative to ``folder``; None for the one that holds no code.
    """

    name: str
    folder: str
    package: Optional[str]

    @property
    def path(self) -> Path:
        """The folder of its pyproject.toml."""
        return ROOT / self.folder

    @property
    def file_stem(self) -> str:
        """The first part of the names of its built files."""
        return self.name.replace("-", "_")


DISTRIBUTIONS = (
    Distribution("amct", "meta", None),
    Distribution("amct-core", ".", "amct_core"),
    Distribution("amct-caffe", "plugins/amct_caffe", "amct_caffe"),
    Distribution("amct-ascend-backend", "plugins/ascend_backend", "ascend_backend"),
    Distribution("amct-cpu-sim-backend", "plugins/cpu_sim_backend", "cpu_sim_backend"),
)
