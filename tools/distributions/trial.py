"""What is tried with the built files, by version of CPython.

On 3.9, ``amct[caffe]`` alone takes the demonstration through the whole workflow.  On the others,
which have no Caffe, everything else is done with the model that it saved.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import frozen

from tools.distributions import environment
from tools.distributions.environment import Environment
from tools.distributions.version import current

WITH_CAFFE = "3.9"
WITHOUT_CAFFE = ("3.11", "3.13")

_MODEL = "demo/qat/result/model"
_DATA = ("--data", "demo/test_images.npz")


@frozen
class Step:
    """One command of a trial.

    Attributes:
        arguments: of ``amct``.
        says: words of its output.
        leaves: a file that is there afterwards, or None.
        status: how it ends.
    """

    arguments: tuple[str, ...]
    says: str = ""
    leaves: str | None = None
    status: int = 0


TRAINING = (
    Step(("doctor", "--for", "train")),
    Step(("demo", "--out", "demo"), "Differing values between the last two: 0"),
    Step(("verify", _MODEL, *_DATA, "--against", "framework"), "exact"),
    Step(("lint", _MODEL, "--soc-version", "Ascend310P3")),
)

SIMULATION = (
    Step(("doctor", "--for", "simulate")),
    Step(("doctor", "--for", "train"), "CPython 3.9", status=1),
    Step(("simulate", _MODEL, *_DATA, "-o", "y.npz"), leaves="y.npz"),
    # There is no Caffe, so that the two engines are compared.
    Step(("verify", _MODEL, *_DATA), "exact"),
    Step(("simulate", _MODEL, "--onnx", "model.onnx"), leaves="model.onnx"),
    Step(("report", _MODEL, *_DATA, "-o", "report.html"), leaves="report.html"),
    Step(("lint", _MODEL, "--soc-version", "Ascend310P3")),
)


class TrialError(Exception):
    """A command of a trial did something else than it must."""


def requirement(*extras: str) -> str:
    """Return what is asked for, in the version of the checkout."""
    return f"amct[{','.join(extras)}]=={current()}"


def with_caffe(built: Path, folder: Path) -> Environment:
    """Train, save and verify the demonstration's network on CPython 3.9."""
    tried = environment.create(folder, WITH_CAFFE)
    tried.install(built, requirement("caffe"))
    walk(tried, TRAINING)
    return tried


def without_caffe(built: Path, folder: Path, version: str, demo: Path) -> Environment:
    """Simulate, compare, export, report and lint what the demonstration saved in ``demo``."""
    tried = environment.create(folder, version)
    # [caffe] must bring nothing here, and compile nothing.
    tried.install(built, requirement("caffe", "fast", "onnx", "report"))
    shutil.copytree(demo, tried.work / "demo")
    walk(tried, SIMULATION)
    return tried


def walk(tried: Environment, steps: Sequence[Step]) -> None:
    """Take the steps in turn.

    Raises:
        TrialError: one of them ended otherwise, said something else or left no file.
    """
    for step in steps:
        done = tried.amct(*step.arguments)
        problems = list(_problems(step, done.returncode, done.stdout + done.stderr, tried.work))
        if problems:
            raise TrialError(
                f"CPython {tried.version}: amct {' '.join(step.arguments)}: {'; '.join(problems)}\n"
                f"{done.stdout}{done.stderr}"
            )


def _problems(step: Step, status: int, output: str, work: Path) -> Iterator[str]:
    if status != step.status:
        yield f"exit status {status}, expected {step.status}"
    if step.says not in output:
        yield f"'{step.says}' is not in its output"
    if step.leaves is not None and not (work / step.leaves).is_file():
        yield f"it left no {step.leaves}"
