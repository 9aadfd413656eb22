"""The tutorial with what pip would install: built files, an empty home, no checkout."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.site import page_runner
from tests.site.test_tutorial import PAGE, STEPS
from tools.distributions import environment, trial
from tools.distributions.building import build_all
from tools.distributions.environment import Environment

pytestmark = pytest.mark.slow

ASKED = re.search(r'pip install "amct\[([a-z0-9,]+)\]"', PAGE.read_text(encoding="utf-8"))
WITHOUT_CAFFE = ("7. What will ATC and the processor do?", "8. Pack it for ATC")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build_all(folder)
    return folder


@pytest.fixture(scope="module")
def trained(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Everything on CPython 3.9, as the page has it."""
    folder = tmp_path_factory.mktemp("reader")
    tried = installed(built, folder, trial.WITH_CAFFE)
    for step in STEPS:
        take(step, tried)
    return tried


def installed(built: Path, folder: Path, version: str) -> Environment:
    assert ASKED is not None
    tried = environment.create(folder / version, version)
    tried.install(built, trial.requirement(*ASKED[1].split(",")))
    return tried


def take(step: page_runner.Step, tried: Environment) -> None:
    page_runner.run(step, tried.work, tried.python.parent.parent, tried.variables())


@pytest.mark.caffe
def test_every_step_on_3_9(trained: Environment) -> None:
    assert (trained.work / "qat/result/model_atc_bundle.tar.gz").is_file()
    assert (trained.work / "report.html").is_file()
    assert not list((trained.folder / "home").glob("*.py"))


@pytest.mark.caffe
@pytest.mark.parametrize("version", trial.WITHOUT_CAFFE)
def test_what_needs_no_caffe_on_newer_pythons(
    version: str, built: Path, trained: Environment, tmp_path: Path
) -> None:
    tried = installed(built, tmp_path, version)
    shutil.copytree(trained.work, tried.work, dirs_exist_ok=True)
    (tried.work / "qat/result/model_atc_bundle.tar.gz").unlink()
    taken = [step for step in STEPS if step.section in WITHOUT_CAFFE]
    for step in taken:
        take(step, tried)
    assert len(taken) == 5
    assert (tried.work / "qat/result/model_atc_bundle.tar.gz").is_file()
