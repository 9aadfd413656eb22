"""Supervision: how a process of its own ends, and what the one that waits for it makes of that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import attrs
import pytest

import amct_core
from amct_core.supervision.board import Board
from amct_core.supervision.stopping import Stopped, StopRequest, stop_in_test
from amct_core.supervision.watch import Watch, current

REPOSITORY = Path(amct_core.__file__).parents[1]

PROGRAM = """
import os, signal, sys, time
import click
from amct_core.cli.apart import Invocation, supervised
from amct_core.cli.main import RootGroup
from amct_core.errors import ConfigError
from amct_core.supervision.watch import current

@click.command("work")
def work():
{body}

class Root(RootGroup):
    def list_commands(self, ctx): return ["work"]
    def get_command(self, ctx, name): return supervised(work)

@click.group(cls=Root)
@click.option("--debug", is_flag=True)
def cli(debug): pass

cli(["work"], prog_name="amct", obj=Invocation.of_process(os.environ))
"""
"""``amct`` with one command, whose body a test gives."""


@attrs.frozen
class Work:
    """A command in a process of its own, started."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls, folder: Path, body: str, **options: object) -> Work:
        program = PROGRAM.format(body=textwrap.indent(textwrap.dedent(body), "    "))
        path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
        return cls(
            subprocess.Popen(
                [sys.executable, "-c", program],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": path},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                **options,
            )
        )

    def finish(self) -> Done:
        out, err = self.process.communicate(timeout=60)
        return Done(self.process.returncode, out, err)

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@attrs.frozen
class Done:
    """How it ended."""

    status: int
    out: str
    err: str


def run(folder: Path, body: str) -> Done:
    return Work.start(folder, body).finish()


class TestWhatPassesThrough:
    def test_the_results_and_success(self, tmp_path: Path) -> None:
        assert run(tmp_path, "click.echo('result')") == Done(0, "result\n", "")

    @pytest.mark.parametrize("status", [1, 2, 70])
    def test_an_exit_status(self, tmp_path: Path, status: int) -> None:
        assert run(tmp_path, f"sys.exit({status})").status == status

    def test_an_error_of_the_user_as_it_was(self, tmp_path: Path) -> None:
        done = run(tmp_path, "raise ConfigError('bad.', file='c.json', remedy='Mend it.')")
        assert done == Done(1, "", "Error: c.json: bad. Mend it.\n")

    def test_what_the_command_says_on_standard_error(self, tmp_path: Path) -> None:
        assert run(tmp_path, "print('hello', file=sys.stderr)").err == "hello\n"

    def test_descriptors_that_a_launcher_has_left(self, tmp_path: Path) -> None:
        reading, writing = os.pipe()
        body = f"os.write({writing}, str(os.getpid()).encode())"
        work = Work.start(tmp_path, body, pass_fds=[writing])
        os.close(writing)
        assert int(os.read(reading, 100)) != work.process.pid
        os.close(reading)
        assert work.finish().status == 0


def test_who_wants_no_process_of_its_own_gets_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "print(os.getpid()); os.write(2, str(current().is_on).encode())"
    monkeypatch.setenv("AMCT_SUPERVISION", "0")
    work = Work.start(tmp_path, body)
    done = work.finish()
    assert int(done.out) == work.process.pid
    assert done.err == "False"


class TestWhatTheFrameworkWrites:
    def test_it_does_not_reach_the_user(self, tmp_path: Path) -> None:
        assert run(tmp_path, "os.write(2, b'two hundred lines')").err == ""

    def test_it_is_kept_from_the_beginning_in_the_file_that_the_command_names(
        self, tmp_path: Path
    ) -> None:
        run(tmp_path, "os.write(2, b'one ')\ncurrent().keep_log('f.log')\nos.write(2, b'two')")
        assert (tmp_path / "f.log").read_text() == "one two"

    def test_a_log_that_goes_on_keeps_what_it_had_and_shows_none_of_it(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "f.log").write_text("of another process\n")
        body = "os.write(2, b'one ')\ncurrent().keep_log('f.log', goes_on=True)\nos.abort()"
        done = run(tmp_path, body)
        assert (tmp_path / "f.log").read_text() == "of another process\none "
        assert done.err.startswith("The last lines of f.log:\n  one \n")

    def test_else_it_begins_with_this_process(self, tmp_path: Path) -> None:
        (tmp_path / "f.log").write_text("of another process\n")
        run(tmp_path, "current().keep_log('f.log')")
        assert (tmp_path / "f.log").read_text() == ""

    def test_a_file_that_cannot_be_written_is_an_error(self, tmp_path: Path) -> None:
        done = run(tmp_path, "current().keep_log('no/f.log')")
        assert done.status == 1
        assert done.err.startswith("Error: no/f.log: cannot be written: ")

    def test_in_a_process_that_nobody_watches_nothing_happens(self, tmp_path: Path) -> None:
        watch = current()
        watch.tell(log="x")
        watch.iteration(3)
        watch.keep_log(tmp_path / "f.log")
        assert not watch.is_on
        assert watch.log_from(0) == b""
        assert list(tmp_path.iterdir()) == []


class TestAnEndBySignal:
    @pytest.mark.parametrize("name", ["SIGABRT", "SIGSEGV", "SIGBUS"])
    def test_it_is_one_error_with_status_1(self, tmp_path: Path, name: str) -> None:
        done = run(tmp_path, f"os.kill(os.getpid(), signal.{name})")
        assert done.status == 1
        assert done.err == f"Error: the process was ended by {name}.\n"

    def test_sigkill_is_told_as_lack_of_memory_with_the_iteration_and_the_way_on(
        self, tmp_path: Path
    ) -> None:
        body = """
            current().tell(last=200, remedy="Go on with: this.", who="rank 1 of 2")
            current().iteration(12)
            os.kill(os.getpid(), signal.SIGKILL)
        """
        done = run(tmp_path, body)
        assert done.status == 1
        assert done.err == (
            "Error: rank 1 of 2: the process was ended by SIGKILL at iteration 12 of 200, as the "
            "system does when memory runs out. Use smaller batches, or end other programs. Go on "
            "with: this.\n"
        )

    def test_the_last_lines_of_the_log_are_shown_without_the_stack(self, tmp_path: Path) -> None:
        body = """
            current().keep_log("f.log")
            for number in range(20):
                os.write(2, b"line %d\\n" % number)
            os.write(2, b"*** Check failure stack trace: ***\\n    @ 0x7f  google::Fail()\\n")
            os.abort()
        """
        lines = run(tmp_path, body).err.splitlines()
        assert lines[0] == "The last lines of f.log:"
        assert lines[1:-1] == [f"  line {number}" for number in range(12, 20)]

    def test_a_log_that_the_command_kept_nowhere_is_kept_then(self, tmp_path: Path) -> None:
        done = run(tmp_path, "os.write(2, b'the reason')\nos.abort()")
        assert "The last lines of amct_log/framework.log:\n  the reason\n" in done.err
        assert (tmp_path / "amct_log/framework.log").read_text() == "the reason"

    def test_when_the_waiting_process_is_killed_the_other_one_goes_too(
        self, tmp_path: Path
    ) -> None:
        work = Work.start(tmp_path, "print(os.getpid(), flush=True)\ntime.sleep(60)")
        worker = int(work.line())
        work.process.kill()
        work.process.wait()
        end = time.monotonic() + 10
        while is_running(worker):
            assert time.monotonic() < end, "it goes on alone"
            time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


SIGNALS = [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)]
BUSY = "print('ready', flush=True)\nwhile True: time.sleep(0.01)"
DEAF = """
def heard(*_):
    os.write(1, b"heard\\n")  # print may still be at its line before, and is not reentrant
for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, heard)
print("ready", flush=True)
while True:
    time.sleep(0.01)
"""


class TestSignals:
    @pytest.mark.parametrize(("name", "status"), SIGNALS)
    def test_one_ends_the_command_with_its_status(
        self, tmp_path: Path, name: str, status: int
    ) -> None:
        work = Work.start(tmp_path, BUSY)
        assert work.line() == "ready"
        work.process.send_signal(getattr(signal, name))
        done = work.finish()
        assert done.status == status
        assert len(done.err.splitlines()) == 1

    @pytest.mark.parametrize(("name", "status"), SIGNALS)
    def test_a_second_one_ends_at_once_what_does_not_heed_the_first(
        self, tmp_path: Path, name: str, status: int
    ) -> None:
        work = Work.start(tmp_path, DEAF)
        assert work.line() == "ready"
        work.process.send_signal(getattr(signal, name))
        assert work.line() == "heard"
        work.process.send_signal(getattr(signal, name))  # a launcher and a terminal: one request
        time.sleep(0.2)
        assert work.process.poll() is None
        time.sleep(0.5)
        work.process.send_signal(getattr(signal, name))
        done = work.finish()
        assert done.status == status
        assert done.err == f"Ended by {name}.\n"

    def test_what_is_started_with_nohup_does_not_hear_sighup(self, tmp_path: Path) -> None:
        def ignore() -> None:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

        work = Work.start(tmp_path, BUSY, preexec_fn=ignore)
        assert work.line() == "ready"
        work.process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        assert work.process.poll() is None
        work.process.send_signal(signal.SIGTERM)
        assert work.finish().status == 143

    def test_a_stop_request_keeps_the_first_and_puts_the_handlers_back(self) -> None:
        before = signal.getsignal(signal.SIGTERM)
        with StopRequest() as request:
            assert request.number is None
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            assert request.number == signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) == before

    def test_a_test_pass_is_left_only_where_the_request_heeds_that(self) -> None:
        stop_in_test()
        with StopRequest(heeds_in_tests=True):
            stop_in_test()
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(Stopped) as caught:
                stop_in_test()
            assert caught.value.status == 143
            with StopRequest():
                os.kill(os.getpid(), signal.SIGTERM)
                stop_in_test()
        stop_in_test()

    def test_the_status_is_that_of_shells(self) -> None:
        assert Stopped(signal.SIGTERM).status == 143
        assert str(Stopped(signal.SIGTERM)) == "Stopped by SIGTERM."
        assert str(Stopped(signal.SIGINT, "Kept.")) == "Kept."


class TestBoard:
    def test_facts_are_added_and_replaced(self) -> None:
        board = Board()
        assert (board.iteration, board.facts()) == (None, {})
        board.write(log="a", last=3)
        board.write(log="é")
        board.iteration = 0
        assert (board.iteration, board.facts()) == (0, {"log": "é", "last": 3})

    def test_facts_that_do_not_fit_leave_what_was_there(self) -> None:
        board = Board()
        board.write(last=3)
        board.write(remedy="x" * 100_000)
        assert board.facts() == {"last": 3}

    def test_a_watch_writes_on_it(self) -> None:
        board = Board()
        watch = Watch(board)
        watch.iteration(7)
        watch.tell(last=9)
        assert (board.iteration, board.facts()) == (7, {"last": 9})
