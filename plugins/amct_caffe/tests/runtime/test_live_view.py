"""What is shown of a training: lines, a bar, TEST scores from Caffe's log, and metrics."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from amct_caffe.runtime.caffe_scores import ScoreReader
from amct_caffe.runtime.live_view import LiveView
from amct_caffe.runtime.metrics import Metrics
from amct_caffe.runtime.training_run import TrainingRun
from amct_core.errors import AmctError
from amct_core.supervision.watch import Watch
from plugins.amct_caffe.tests.runtime.solvers import FakeSolver, settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(text: str, **options: Any) -> None:
    solver = FakeSolver(settings(text))
    view = LiveView(solver, solver.settings, **options)
    TrainingRun(solver, solver.settings, view).run(solver.solve)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """Return what was logged about iterations so far."""
    caplog.set_level("INFO", logger="amct_caffe.training")
    return lambda: [text for text in caplog.messages if text.startswith("iteration")]


class TestLines:
    def test_there_is_one_per_display_with_the_numbers(self, lines: Any) -> None:
        train("max_iter: 6 display: 2")
        found = lines()
        assert [line.split(":")[0] for line in found] == [
            "iteration 0 of 6",
            "iteration 2 of 6",
            "iteration 4 of 6",
        ]
        assert found[0] == "iteration 0 of 6: loss 1, lr 0.25, an unknown time left"
        assert "images/s" in found[1]
        assert found[1].endswith(" left")

    def test_without_display_there_is_none_in_a_short_time(self, lines: Any) -> None:
        train("max_iter: 6")
        assert lines() == []

    def test_without_display_there_is_one_after_half_a_minute(
        self, lines: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seconds = iter(range(0, 1000, 10))
        monkeypatch.setattr("amct_caffe.runtime.live_view.time.monotonic", lambda: next(seconds))
        train("max_iter: 9")
        assert [line.split(":")[0] for line in lines()] == [
            "iteration 2 of 9",
            "iteration 5 of 9",
            "iteration 8 of 9",
        ]

    def test_where_the_ranks_say_them_there_are_none(self, lines: Any) -> None:
        train("max_iter: 6 display: 2", says_lines=False)
        assert lines() == []


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_there_is_a_bar_and_no_line(
    lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amct_caffe.runtime.live_view._SECONDS_BETWEEN_UPDATES", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    train("max_iter: 300 display: 1", title="training")
    assert lines() == []
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    last = shown[shown.rindex("training") :]
    found = re.match(
        r"training ━+╸? +\d+/300 \d:\d\d:\d\d\nloss 1, lr 0.25, [\d.]+ images/s\n", last
    )
    assert found, f"something is cut in the 80 columns that a terminal has: {last!r}"


class TestSmoothing:
    def test_the_loss_is_the_mean_of_the_last_ones(self, lines: Any) -> None:
        def losses(iteration: int) -> None:
            solver.net.blobs["loss"].data[0] = iteration  # of weight 2

        solver = FakeSolver(settings("max_iter: 4 display: 1 average_loss: 2"), losses)
        view = LiveView(solver, solver.settings)
        TrainingRun(solver, solver.settings, view).run(solver.solve)
        assert [line.split("loss ")[1].split(",")[0] for line in lines()] == ["0", "1", "3", "5"]


LOG = """\
I1129 08:55:23.682403  196 solver.cpp:347] Iteration 10, Testing net (#0)
I1129 08:55:23.682456  196 solver.cpp:414]     Test net output #0: accuracy = 0.75
I1129 08:55:23.682456  196 solver.cpp:414]     Test net output #1: loss = 0.5 (* 1 = 0.5 loss)
I1129 08:55:23.682456  196 solver.cpp:414]     Test net output #2: loss = 0.1 (* 1 = 0.1 loss)
I1129 08:55:23.682403  196 solver.cpp:347] Iteration 10, Testing net (#1)
I1129 08:55:23.682456  196 solver.cpp:414]     Test net output #0: accuracy = nan
"""


class Logged(Watch):
    """A watch whose log a test writes."""

    log = b""

    def log_from(self, start: int) -> bytes:
        return self.log[start:]


class TestScores:
    def test_each_testing_net_has_its_own_and_each_is_read_once(self) -> None:
        watch = Logged()
        reader = ScoreReader(watch)
        assert reader.new() == []
        watch.log = LOG.encode()
        first, second = reader.new()
        assert (first.iteration, first.net) == (10, 0)
        assert first.outputs == {"accuracy": 0.75, "loss": 0.5}
        assert (second.net, list(second.outputs)) == (1, ["accuracy"])
        assert reader.new() == []

    def test_a_line_that_is_not_yet_whole_waits(self) -> None:
        watch = Logged()
        reader = ScoreReader(watch)
        watch.log = LOG[:-5].encode()
        assert len(reader.new()) == 1


class TestMetrics:
    def test_there_is_a_line_with_the_numbers_and_the_bounds(self, folder: Path) -> None:
        train("max_iter: 4 display: 2", metrics=Metrics("m.jsonl", ["quantizer"]))
        found = [json.loads(line) for line in (folder / "m.jsonl").read_text().splitlines()]
        assert [each["iteration"] for each in found] == [0, 2]
        assert {key: found[0][key] for key in ("loss", "losses", "lr", "bounds")} == {
            "loss": 1.0,
            "losses": {"loss": 1.0},
            "lr": 0.25,
            "bounds": {"quantizer": [3.0, -1.0]},
        }
        assert found[1]["seconds"] >= found[0]["seconds"] >= 0

    def test_one_that_goes_on_adds_to_the_file(self, folder: Path) -> None:
        for goes_on, count in ((False, 1), (True, 2), (False, 1)):
            metrics = Metrics("m.jsonl", goes_on=goes_on)
            metrics.write(iteration=0)
            metrics.close()
            assert (folder / "m.jsonl").read_text().count("\n") == count

    def test_a_file_that_cannot_be_written_is_an_error(self) -> None:
        with pytest.raises(AmctError, match=r"no/m\.jsonl: cannot be written"):
            Metrics("no/m.jsonl")

    def test_a_full_disk_ends_the_lines_and_not_the_training(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        metrics = Metrics("/dev/full")
        metrics.write(iteration=0)
        metrics.write(iteration=1)
        metrics.close()
        assert [text for text in caplog.messages if "gets no more lines" in text] == [
            "'/dev/full' gets no more lines: No space left on device"
        ]
