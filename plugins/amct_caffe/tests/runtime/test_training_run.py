"""One training: stopped between iterations, by numbers that are none, and by broken snapshots."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from amct_caffe.runtime.training_run import TrainingRun
from amct_core.errors import QuantizationError, TrainingError
from amct_core.supervision.stopping import StoppedBetweenIterations
from plugins.amct_caffe.tests.runtime.solvers import WHOLE, FakeSolver, settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(solver: FakeSolver, **options: Any) -> None:
    TrainingRun(solver, solver.settings, **options).run(solver.solve)


def send(number: int, at: int) -> Any:
    """Return what sends this process a signal in the middle of an iteration."""
    return lambda iteration: os.kill(os.getpid(), number) if iteration == at else None


def snapshots(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.solverstate"))


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_the_iteration_ends_and_a_snapshot_is_written(self, folder: Path, number: int) -> None:
        solver = FakeSolver(settings("max_iter: 10"), send(number, at=3))
        with pytest.raises(StoppedBetweenIterations) as caught:
            run(solver)
        assert caught.value.status == 128 + number
        assert solver.iter == 4
        assert snapshots(folder) == ["s_iter_4.solverstate"]
        assert str(caught.value) == (
            "Stopped before iteration 4 of 10; 's_iter_4.solverstate' and its weights keep what "
            "was learned. Go on with --resume s_iter_4.solverstate."
        )

    def test_a_snapshot_that_caffe_has_just_written_is_not_written_again(
        self, folder: Path
    ) -> None:
        solver = FakeSolver(settings("max_iter: 10 snapshot: 4"), send(signal.SIGTERM, at=3))
        before: list[float] = []
        original = solver.snapshot
        solver.snapshot = lambda: before.append(solver.iter) or original()
        with pytest.raises(StoppedBetweenIterations):
            run(solver)
        assert before == [4]

    def test_before_the_first_iteration_of_a_resumed_training_nothing_is_written(
        self, folder: Path
    ) -> None:
        solver = FakeSolver(settings("max_iter: 10"), iteration=5)
        solver.add_callback(lambda: os.kill(os.getpid(), signal.SIGTERM), lambda: None)
        with pytest.raises(StoppedBetweenIterations) as caught:
            run(solver, resumed_from="from.solverstate")
        assert snapshots(folder) == []
        assert "'from.solverstate'" in str(caught.value)

    def test_one_in_the_last_iteration_comes_too_late_to_stop_anything(self, folder: Path) -> None:
        solver = FakeSolver(settings("max_iter: 4"), send(signal.SIGTERM, at=3))
        run(solver)
        assert snapshots(folder) == ["s_iter_4.solverstate"]

    def test_a_rank_that_gets_none_stops_with_the_others_and_writes_nothing(
        self, folder: Path
    ) -> None:
        solver = FakeSolver(settings("max_iter: 10"))
        asked: list[int] = []

        def agreed(own: int) -> int:
            asked.append(own)
            return signal.SIGTERM if len(asked) == 3 else own

        with pytest.raises(StoppedBetweenIterations) as caught:
            run(solver, agreed=agreed, writes=False)
        assert (solver.iter, asked) == (2, [0, 0, 0, signal.SIGTERM])
        assert caught.value.status == 143
        assert snapshots(folder) == []


class TestNumbers:
    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_a_loss_that_is_none_stops_with_the_first_layer_that_gives_such_values(
        self, value: float
    ) -> None:
        def spoil(iteration: int) -> None:
            if iteration == 5:
                solver.net.blobs["hidden"].data[0] = value
                solver.net.blobs["loss"].data[0] = value

        solver = FakeSolver(settings("max_iter: 10 snapshot: 2"), spoil)
        with pytest.raises(TrainingError) as caught:
            run(solver)
        assert caught.value.layer == "quantizer"
        assert "at iteration 5 the loss is" in str(caught.value)
        assert "The last good snapshot is 's_iter_4.solverstate'" in str(caught.value)

    def test_weights_that_are_none_are_told_before_values(self) -> None:
        def spoil(iteration: int) -> None:
            solver.net.params["quantizer"][1].data[0] = float("nan")
            solver.net.blobs["loss"].data[0] = float("nan")

        solver = FakeSolver(settings("max_iter: 10"), spoil)
        with pytest.raises(TrainingError, match="blob 1 of its weights is not finite") as caught:
            run(solver)
        assert "There is no snapshot before it." in str(caught.value)

    def test_a_snapshot_whose_own_loss_is_none_is_not_called_good(self) -> None:
        def spoil(iteration: int) -> None:
            if iteration == 4:
                solver.net.blobs["loss"].data[0] = float("nan")

        solver = FakeSolver(settings("max_iter: 10 snapshot: 2"), spoil)
        with pytest.raises(TrainingError) as caught:
            run(solver)
        assert "The last good snapshot is 's_iter_2.solverstate'" in str(caught.value)

    def test_numbers_that_cannot_be_quantized_are_told_with_iteration_and_snapshot(self) -> None:
        def fail(iteration: int) -> None:
            if iteration == 3:
                raise QuantizationError("scale is 0.", layer="conv1", remedy="Look at its data.")

        solver = FakeSolver(settings("max_iter: 10 snapshot: 2"), fail)
        with pytest.raises(QuantizationError) as caught:
            run(solver, how_to_go_on=lambda state: f"Type {state}.")
        assert str(caught.value) == (
            "layer 'conv1': scale is 0. This was at iteration 3. Look at its data. The last good "
            "snapshot is 's_iter_2.solverstate'. Type s_iter_2.solverstate."
        )


class TestSnapshots:
    def test_one_that_is_cut_off_stops_training(self) -> None:
        solver = FakeSolver(settings("max_iter: 10 snapshot: 2"), content=WHOLE[:-1])
        with pytest.raises(
            TrainingError, match="the snapshot of iteration 2 has not been"
        ) as caught:
            run(solver)
        assert caught.value.file == "s_iter_2.caffemodel"
        assert solver.iter == 2

    def test_so_does_the_last_one(self) -> None:
        solver = FakeSolver(settings("max_iter: 3"), content=b"")
        with pytest.raises(TrainingError, match="the snapshot of iteration 3 has not been"):
            run(solver)

    def test_a_rank_that_writes_none_looks_at_none(self) -> None:
        run(FakeSolver(settings("max_iter: 4 snapshot: 2"), content=b""), writes=False)
