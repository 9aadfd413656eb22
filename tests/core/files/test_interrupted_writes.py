"""A set of files is written all or none, whatever happens at whichever system call."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from amct_core.errors import AmctError
from amct_core.files import FileSet, read_text
from tests.core.files.faults import (
    TAKES_SPACE,
    Fault,
    fail_broken_disk,
    fail_full_disk,
    in_child,
    interrupt,
    kill,
)

NAMES = ("result/m.prototxt", "result/m.caffemodel", "result/m.json", "record.txt")
"""Files of one set, in two folders."""


def write(text: str) -> None:
    with FileSet() as files:
        for name in NAMES:
            files.add(name, f"{text} {name}")


def found() -> dict[str, str | None]:
    """Return which set each file is of; None if it is not there."""
    return {
        name: Path(name).read_text().split()[0] if Path(name).is_file() else None for name in NAMES
    }


def names_in_folders() -> set[str]:
    folders = (folder for folder in (Path(), Path("result")) if folder.is_dir())
    return {str(path) for folder in folders for path in folder.iterdir() if path.is_file()}


def _slow(name: str) -> Any:
    return pytest.param(name, marks=pytest.mark.slow, id=name)


OLD: dict[str, tuple[str, ...]] = {"none old": (), "some old": NAMES[::2], "all old": NAMES}
"""Which files are there before."""


@pytest.fixture(params=[_slow("none old"), "some old", _slow("all old")])
def old(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return OLD[request.param]


@pytest.fixture(params=["links", _slow("no links")])
def folder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A folder to work in, on a file system with hard links or without."""
    monkeypatch.chdir(tmp_path)
    # What the kernel has survives the process; waiting for disks would cost minutes.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    if request.param == "no links":

        def link(*args: object, **options: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)
    yield tmp_path
    monkeypatch.chdir("/")


def fresh(old: tuple[str, ...]) -> None:
    """Make the folder as it was before: with the old files, and nothing else."""
    for path in Path().iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in old:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(f"old {name}")


def is_whole(old: tuple[str, ...], sets: dict[str, str | None]) -> bool:
    before = {name: "old" if name in old else None for name in NAMES}
    return sets in (before, dict.fromkeys(NAMES, "new"))


def number_of_calls(old: tuple[str, ...]) -> int:
    fresh(old)
    said, count = in_child(lambda: write("new"))
    assert said == "done" and found() == dict.fromkeys(NAMES, "new")
    assert names_in_folders() == set(NAMES)
    return count


def read_one() -> None:
    """Read one of the files, the others are put in place by that."""
    with contextlib.suppress(AmctError):
        read_text(NAMES[-1])
    with contextlib.suppress(AmctError):
        read_text(NAMES[0])


FAULTS: dict[str, Callable[[int], Fault]] = {
    "killed": lambda at: Fault(kill, at),
    "interrupted": lambda at: Fault(interrupt, at),
    "interrupted after": lambda at: Fault(interrupt, at, after=True),
    "no space once": lambda at: Fault(fail_full_disk, at),
    "no space once after": lambda at: Fault(fail_full_disk, at, after=True),
    "no space from there on": lambda at: Fault(fail_full_disk, at, lasting=True, calls=TAKES_SPACE),
    "no answer from there on": lambda at: Fault(fail_broken_disk, at, lasting=True),
}
"""That a process is killed after a call is that it is killed before the next one."""


_FAST = ("killed", "no space from there on")
_KINDS = [kind if kind in _FAST else _slow(kind) for kind in FAULTS]


@pytest.mark.parametrize("kind", _KINDS)
def test_whatever_happens_at_a_call_the_next_run_finds_a_whole_set(
    folder: Path, old: tuple[str, ...], kind: str
) -> None:
    wrong = []
    for at in range(number_of_calls(old)):
        fresh(old)
        ended, _ = in_child(lambda: write("new"), FAULTS[kind](at))
        at_once = found()
        read_one()
        after_reading = found()
        write("new")
        if not (
            is_whole(old, after_reading)
            and found() == dict.fromkeys(NAMES, "new")
            and names_in_folders() == set(NAMES)
        ):
            wrong.append((at, ended, at_once, after_reading, names_in_folders()))
    assert wrong == []


@pytest.mark.parametrize(
    "kind", [_slow("no space once"), _slow("no space once after"), "no space from there on"]
)
def test_at_a_full_disk_the_old_files_are_back_at_once(
    folder: Path, old: tuple[str, ...], kind: str
) -> None:
    wrong = []
    for at in range(number_of_calls(old)):
        fresh(old)
        ended, _ = in_child(lambda: write("new"), FAULTS[kind](at))
        complete = found() == dict.fromkeys(NAMES, "new")
        if not is_whole(old, found()) or (ended == "done") != complete:
            wrong.append((at, ended, found()))
    assert wrong == []


@pytest.mark.slow
def test_an_error_of_the_disk_is_told_as_one(folder: Path) -> None:
    fresh(NAMES)
    told = set()
    for at in range(number_of_calls(NAMES)):
        fresh(NAMES)
        told.add(in_child(lambda: write("new"), FAULTS["no answer from there on"](at))[0])
    assert told <= {"AmctError", "done"}


@pytest.mark.slow
@pytest.mark.parametrize("first", ["killed", "interrupted"])
def test_completing_can_be_killed_in_its_turn(folder: Path, first: str) -> None:
    """Half-done commits are completed by a reader that is killed at each of its calls."""
    wrong = []
    for at in range(number_of_calls(NAMES)):
        fresh(NAMES)
        in_child(lambda: write("new"), FAULTS["killed"](at))
        if is_whole(NAMES, found()):
            continue  # nothing to complete
        assert list(Path().rglob(".amct-commit"))
        for again in range(60):
            _, _ = in_child(read_one, FAULTS[first](again))
            if is_whole(NAMES, found()):
                break
        else:
            wrong.append((at, found()))
        read_one()
        if not is_whole(NAMES, found()):
            wrong.append((at, found()))
    assert wrong == []
