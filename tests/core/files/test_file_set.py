"""What a FileSet does beside writing all or none."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from amct_core.errors import AmctError
from amct_core.files import FileSet, read_text, temporary_folder, write_atomically
from amct_core.files.journal import NAME
from amct_core.files.problems import refuse_special
from amct_core.files.signals import deferred_signals
from amct_core.files.stages import SUFFIX, Stage


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*"))


def write(paths: list[str]) -> None:
    with FileSet() as files:
        for path in paths:
            files.add(path, "new")


def test_an_exception_in_the_block_leaves_nothing_behind() -> None:
    Path("a").write_text("old")

    def interrupted() -> None:
        with FileSet() as files:
            files.add("a", "new")
            files.add("deep/er/b", "new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert names() == ["a"] and Path("a").read_text() == "old"


def test_a_file_that_could_not_be_staged_whole_is_not_put_in_place() -> None:
    with FileSet() as files:
        files.add("a", "new")
        with contextlib.suppress(ZeroDivisionError), files.open("b") as stream:
            stream.write(b"half")
            raise ZeroDivisionError
        assert files.paths == ("a",)
    assert names() == ["a"]


def test_what_has_been_staged_can_be_read() -> None:
    with FileSet() as files:
        files.add("a", "né")
        assert bytes(files.contents("a")) == "né".encode()
        assert not Path("a").exists()


def test_a_file_that_another_program_has_made_is_moved() -> None:
    Path("made").write_text("new")
    Path("a").write_text("old")
    with FileSet(announce=False) as files:
        files.move("deep/b", "made")
        files.add("a", "new")
    assert names() == ["a", "deep", "deep/b"]
    assert (Path("a").read_text(), Path("deep/b").read_text()) == ("new", "new")


def test_modes_are_those_of_the_umask_and_of_the_files_before() -> None:
    Path("a").write_text("old")
    Path("a").chmod(0o640)
    before = os.umask(0o027)
    try:
        with FileSet() as files:
            files.add("a", "new")
            files.add("b", "new")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(Path(name).stat().st_mode) for name in "ab"] == [0o640, 0o640]


@pytest.mark.parametrize("others", [[], ["b"]])
def test_a_folder_is_not_replaced(others: list[str]) -> None:
    Path("a").mkdir()
    with pytest.raises(AmctError, match=r"^a: cannot be written: Is a directory"):
        write([*others, "a"])
    assert names() == ["a"]


@pytest.mark.parametrize("others", [[], ["b"]])
@pytest.mark.parametrize("name", ["a", "link"])
def test_what_is_no_file_is_not_replaced(others: list[str], name: str) -> None:
    os.mkfifo("a")
    Path("link").symlink_to("a")
    expected = rf"^{name}: cannot be written: it is a FIFO or pipe, .* expected a regular file"
    with pytest.raises(AmctError, match=expected):
        write([*others, name])
    assert names() == ["a", "link"]
    assert Path("a").is_fifo() and Path("link").is_symlink()


def test_a_file_that_another_program_has_made_does_not_replace_a_pipe() -> None:
    os.mkfifo("a")
    Path("made").write_text("new")

    def move() -> None:
        with FileSet() as files:
            files.move("a", "made")

    with pytest.raises(AmctError, match="it is a FIFO"):
        move()
    assert Path("a").is_fifo()


def test_a_device_is_called_one() -> None:
    with pytest.raises(AmctError, match=r"^/dev/null: cannot be written: it is a device"):
        refuse_special("/dev/null")  # not a FileSet: a test that fails would replace the device


def test_a_symbolic_link_is_put_back_as_one() -> None:
    Path("target").write_text("old")
    Path("a").symlink_to("target")
    Path("b").mkdir()

    def write_without_b() -> None:
        with FileSet() as files:
            for name in ("a", "c", "b/c"):
                files.add(name, "new")
            Path("b").rename("d")

    with pytest.raises(AmctError):
        write_without_b()
    assert Path("a").is_symlink() and Path("a").read_text() == "old"
    assert not Path("c").exists()


def test_overwriting_is_logged_but_not_of_files_that_are_kept_up_to_date(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in "ab":
        Path(name).write_text("old")
    with caplog.at_level(logging.WARNING), FileSet() as files:
        files.add("a", "new")
        files.update("b", "new")
    assert caplog.messages == ["'a' existed and has been overwritten"]


def test_stages_of_living_processes_stay() -> None:
    stage = Stage("a")
    write_atomically("b", "new")
    assert Path(stage.path).exists()
    stage.release()
    write_atomically("c", "new")
    assert not Path(stage.path).exists()


def test_stages_of_old_age_go_where_there_are_no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    for name, age in (("old", 2 * 24 * 3600), ("new", 3600)):
        path = Path(f".{name}.00000000{SUFFIX}")
        path.touch()
        seconds = path.stat().st_mtime - age
        os.utime(path, (seconds, seconds))
    with FileSet() as files:
        files.add("a", "1")
        files.add("b", "2")
    assert names() == [f".new.00000000{SUFFIX}", "a", "b"]


def test_a_commit_waits_for_that_of_another_process() -> None:
    descriptor = os.open(NAME, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with FileSet() as files:
        timer = threading.Timer(0.2, lambda: (os.unlink(NAME), os.close(descriptor)))
        timer.start()
        files.add("a", "1")
        files.add("b", "2")
    timer.join()
    assert names() == ["a", "b"]


def test_a_journal_that_was_not_finished_is_none() -> None:
    Path("a").write_text("old")
    Path(NAME).write_text('{"files": [{"staged": ".a.00')
    assert read_text("a") == "old"
    assert names() == ["a"]


def test_a_set_whose_waiting_files_are_gone_goes_back(caplog: pytest.LogCaptureFixture) -> None:
    Path("a").write_text("new")
    Path(".a.amct-old").write_text("old")
    moves = [
        {
            "staged": f".{name}.12.amct-new",
            "destination": name,
            "aside": f".{name}.amct-old",
            "inode": inode,
        }
        for name, inode in (("a", Path("a").stat().st_ino), ("b", 0))
    ]
    Path(NAME).write_text(json.dumps({"files": moves}))
    assert read_text("a") == "old"
    assert [name for name in names() if SUFFIX not in name] == ["a"]
    assert "those from before are back" in caplog.text


MOVE = {
    "staged": ".a.12.amct-new",
    "destination": "a",
    "aside": ".a.12.amct-old",
    "inode": 1,
}


@pytest.mark.parametrize(
    "move",
    [
        {**MOVE, "destination": "../home/a"},
        {**MOVE, "destination": "../home/a", "staged": "../home/.a.12.amct-new"},
        {
            "staged": "../home/.a.12.amct-new",
            "destination": "../home/a",
            "aside": "../home/.a.12.amct-old",
            "inode": 1,
        },
        {**MOVE, "staged": "../home/a"},
        {**MOVE, "aside": "../home/a"},
        {**MOVE, "aside": "mine"},
        {**MOVE, "staged": "mine"},
        {"staged": 1},
        "mine",
    ],
    ids=str,
)
def test_a_journal_that_came_with_the_folder_moves_nothing(move: object) -> None:
    for path in ("home", "box"):
        Path(path).mkdir()
    for path in ("home/a", "home/.a.12.amct-new", "box/.a.12.amct-new", "box/mine", "box/a"):
        Path(path).write_text(path)
    Path("box/.amct-commit").write_text(json.dumps({"files": [move]}))
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    with pytest.raises(AmctError, match="Nothing has been moved"):
        read_text("box/a")
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_a_set_that_cannot_be_completed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(NAME).write_text("{}")

    def no_access(*args: object) -> int:
        raise PermissionError(13, "Permission denied")

    Path("a").write_text("old")
    monkeypatch.setattr(os, "open", no_access)
    with pytest.raises(AmctError, match=r"half replaced.*Permission denied"):
        read_text("a")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_for_the_end_of_the_block(number: signal.Signals) -> None:
    arrived = []
    before = signal.signal(number, lambda *_: arrived.append(number))
    try:
        with deferred_signals():
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            assert not arrived
        assert arrived == [number]
    finally:
        signal.signal(number, before)


def test_ctrl_c_between_two_files_comes_after_both() -> None:
    replace = os.replace

    def interrupted(*args: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        replace(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(["a", "b"])
    assert names() == ["a", "b"]


def test_other_threads_write_without_touching_handlers() -> None:
    thread = threading.Thread(target=write_atomically, args=("a", "1"))
    thread.start()
    thread.join()
    assert Path("a").read_text() == "1"


@pytest.mark.parametrize("limit", range(0, 400, 25))
def test_a_limit_of_the_file_size_leaves_the_old_set(limit: int) -> None:
    """The kernel itself refuses to let a file grow, be it one of the set or the journal."""
    for name in "ab":
        Path(name).write_text("old")
    code = f"""
import resource
from amct_core.errors import AmctError
from amct_core.files import FileSet
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    with FileSet() as files:
        files.add("a", "n" * 100)
        files.add("b", "n" * 100)
except AmctError as error:
    print("File too large" in str(error))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    contents = {Path(name).read_text() for name in "ab"}
    assert contents == {"old"} if done.stdout == "True\n" else contents == {"n" * 100}
    assert names() == ["a", "b"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_temporary_folder_goes_with_the_block_or_with_the_next_run() -> None:
    with temporary_folder(".", "work") as folder:
        Path(folder, "x").write_text("1")
        write_atomically("a", "1")
        assert Path(folder).is_dir()
    assert names() == ["a"]
    code = """
import os
from amct_core.files import temporary_folder
with temporary_folder(".", "work") as folder:
    open(f"{folder}/x", "w").close()
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    assert len(names()) == 3
    write_atomically("a", "2")
    assert names() == ["a"]
