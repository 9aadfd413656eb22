"""The fuzzer: its seeds are read, its inputs follow from a number, and it tells what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest

from amct_core.errors import ConfigError
from tests.fuzz import targets
from tests.fuzz.mutation import Files, mutated
from tests.fuzz.running import Result, fuzz, warm_up
from tests.fuzz.targets import SEEDS, Target

ROOT = Path(__file__).resolve().parents[2]
LARGEST_SEED = 2048


def test_seeds_are_small() -> None:
    sizes = {path: path.stat().st_size for path in SEEDS.rglob("*") if path.is_file()}
    assert len(sizes) > 30
    assert [path for path, size in sizes.items() if size > LARGEST_SEED] == []


@pytest.mark.parametrize("name", targets.targets())
def test_every_seed_is_accepted(name: str, tmp_path: Path) -> None:
    target = targets.targets()[name]
    assert target.seeds
    warm_up(target, tmp_path)


@pytest.mark.parametrize("name", targets.targets())
def test_mutated_seeds_end_in_success_or_an_error_of_ours(name: str, tmp_path: Path) -> None:
    *_, result = fuzz(targets.targets()[name], tmp_path, seed=1, executions=30)
    assert (result.executions, result.failure) == (30, None)


def test_the_same_seed_gives_the_same_inputs() -> None:
    target = targets.targets()["qat-config"]

    def inputs(seed: int) -> list[Files]:
        random = Random(seed)
        return [mutated(random, target.seeds[0], target.seeds, target.kinds) for _ in range(50)]

    assert inputs(1) == inputs(1) != inputs(2)


def _wrong(files: Files, folder: Path) -> None:
    raise KeyError("not ours")


def _refused(files: Files, folder: Path) -> None:
    raise ConfigError("ours")


def _slow(files: Files, folder: Path) -> None:
    sum(range(10**8))


def _large(files: Files, folder: Path) -> None:
    np.ones(2**27 + 2**20)


def _last(run: object, tmp_path: Path) -> list[Result]:
    assert callable(run)
    target = Target("mine", run, ((b"seed",),), ("text",))
    return list(fuzz(target, tmp_path, seed=0, executions=1))


@pytest.mark.parametrize(
    ("run", "words"), [(_wrong, "KeyError"), (_slow, "TooSlowError"), (_large, "memory grew")]
)
def test_what_must_not_happen_is_told(run: object, words: str, tmp_path: Path) -> None:
    first, _ = _last(run, tmp_path)
    assert first.failure is not None and words in first.failure.reason
    assert first.failure.number == 0


def test_an_error_of_ours_is_no_failure(tmp_path: Path) -> None:
    (only,) = _last(_refused, tmp_path)
    assert (only.executions, only.accepted, only.failure) == (1, 0, None)


@pytest.mark.slow
def test_a_minute_of_fuzzing_finds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", "60", "--keep", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == len(targets.targets())
