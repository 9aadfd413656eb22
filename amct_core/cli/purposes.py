"""What a machine may be wanted for, and which checks of ``amct doctor`` each purpose needs."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator

import attrs

from amct_core.cli.checks import Check
from amct_core.cli.installing import pip_install
from amct_core.plugins import KINDS

EVERY = (
    "Python",
    "amct-core",
    "numpy",
    "plugins",
    "log file",
    *(kind.replace("_", " ") for kind in KINDS if kind not in ("frontends", "deploy_backends")),
)
"""The checks without which nothing works."""

_READ = ("amct-caffe", "plugin caffe", "protobuf", "frontends")
_DEPLOY = (*_READ, "amct-ascend-backend", "plugin ascend", "deploy backends")
_SIMULATE = (*_READ, "amct-cpu-sim-backend", "plugin cpu_sim")
_CAFFE = ("pycaffe", "kendryte-caffe with *", "framework of *", "python_layers")
_TRAIN = (*_DEPLOY, *_CAFFE)


@attrs.frozen
class Purpose:
    """Something that a machine may be wanted for.

    Attributes:
        name: what ``amct doctor --for`` takes.
        what: a line for people.
        needs: names of checks, beside :data:`EVERY`; ``*`` stands for anything.  One that was not
            made has found nothing wrong.
    """

    name: str
    what: str
    needs: tuple[str, ...]

    def uses(self, check: str) -> bool:
        """Whether it needs the check of this name."""
        return check in EVERY or any(fnmatch.fnmatchcase(check, need) for need in self.needs)

    @property
    def runs_framework(self) -> bool:
        """Whether it needs a framework."""
        return set(_CAFFE) <= set(self.needs)


PURPOSES = (
    Purpose("train", "train in Caffe and save (amct qat run)", _TRAIN),
    Purpose("deploy", "write, lint and convert models for ATC (amct qat save, lint, atc)", _DEPLOY),
    Purpose("simulate", "run and calibrate models in integers (amct simulate, ptq)", _SIMULATE),
    Purpose(
        "verify", "compare with the fake-quant model in Caffe (amct verify)", (*_SIMULATE, *_CAFFE)
    ),
    Purpose("demo", "see the whole workflow (amct demo)", (*_TRAIN, *_SIMULATE, "scikit-learn")),
    Purpose(
        "mpi",
        "train on several processes (mpiexec)",
        (*_TRAIN, "several_processes", "mpi4py", "mpiexec"),
    ),
    Purpose("report", "write the page of amct report", (*_SIMULATE, "jinja2")),
    Purpose("onnx", "export to ONNX (amct simulate --onnx)", (*_SIMULATE, "onnx")),
    Purpose("images", "take folders of images as data", (*_SIMULATE, "pillow")),
    Purpose("hdf5", "read snapshots and weights in HDF5", (*_READ, "h5py")),
    Purpose(
        "data", "find shapes of inputs in files of data layers", (*_READ, "h5py", "lmdb", "pillow")
    ),
    Purpose("fast", "compute in compiled code; amct verify without Caffe", (*_SIMULATE, "numba")),
)


@attrs.frozen
class Verdict:
    """Whether a purpose is served here, and what is missing if it is not."""

    purpose: Purpose
    missing: tuple[Check, ...]

    @property
    def works(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing

    def remedies(self) -> Iterator[str]:
        """Yield what to do: one command for all that pip brings, and a line per other thing."""
        requirements = [each for check in self.missing for each in check.requirements]
        if requirements:
            yield pip_install(*dict.fromkeys(requirements))
        yield from dict.fromkeys(check.remedy for check in self.missing if not check.requirements)


def judge(purpose: Purpose, checks: Iterable[Check]) -> Verdict:
    """Return what the checks say of a purpose."""
    failed = (check for check in checks if not check.good)
    return Verdict(purpose, tuple(check for check in failed if purpose.uses(check.name)))
