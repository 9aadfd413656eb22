"""From the built files alone: empty environments, an empty home, no checkout.

Needs what ``make setup`` needs: an index of packages, or their cache.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import bootstrap
from tools.distributions import trial
from tools.distributions.building import build_all
from tools.distributions.table import DISTRIBUTIONS
from tools.distributions.trial import Step, TrialError, walk
from tools.distributions.version import current


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build_all(folder)
    return folder


def require_python(version: str) -> None:
    if bootstrap.find_python(version, bootstrap.find_uv()) is None:
        pytest.skip(f"this machine has no CPython {version}")


@pytest.mark.slow
@pytest.mark.caffe
def test_the_whole_workflow_on_each_python(built: Path, tmp_path: Path) -> None:
    for version in (trial.WITH_CAFFE, *trial.WITHOUT_CAFFE):
        require_python(version)
    trained = trial.with_caffe(built, tmp_path / trial.WITH_CAFFE)
    assert {each.name for each in DISTRIBUTIONS} <= trained.installed().keys()
    for version in trial.WITHOUT_CAFFE:
        demo = trained.work / "demo"
        other = trial.without_caffe(built, tmp_path / version, version, demo)
        installed = other.installed()
        assert installed["amct"] == current()
        assert "kendryte-caffe" not in installed
        assert not installed["numpy"].startswith("1."), "that has no wheel for new Pythons"


@pytest.mark.slow
def test_a_trial_finds_what_is_wrong(built: Path, tmp_path: Path) -> None:
    """The core alone: every other command must name what brings it, and the trial must fail."""
    require_python("3.11")
    tried = trial.environment.create(tmp_path / "core", "3.11")
    tried.install(built, f"amct-core=={current()}")
    told = "'amct verify' comes with amct-cpu-sim-backend, which is not installed"
    walk(tried, [Step(("verify", "model"), told, status=1)])
    for step, problem in (
        (Step(("verify", "model")), "exit status 1, expected 0"),
        (Step(("--version",), "9.9.9"), "'9.9.9' is not in its output"),
        (Step(("--version",), leaves="y.npz"), "it left no y.npz"),
    ):
        with pytest.raises(TrialError, match=problem):
            walk(tried, [step])
