"""What `amct qat run` keeps in its folder, and what it does with it when it is called again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from amct_caffe.model.formats.prototxt.solver import Solver
from amct_caffe.model.formats.snapshots import snapshot_of
from amct_caffe.training import run_folder, workflow
from amct_core.errors import AmctError, ConfigError, FileFormatError, TrainingError
from amct_core.textproto import parse

WHOLE = b"\x12\x0cs.caffemodel"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with one file, ``model``, and a folder ``q``."""
    monkeypatch.chdir(tmp_path)
    Path("model").write_text("a network")
    Path("q").mkdir()
    return tmp_path


def inputs(**options: object) -> dict[str, object]:
    return run_folder.describe_inputs({"model": "model", "config": None}, **options)


def begin(**options: object) -> run_folder.RunState:
    Path("q/made").write_text("by the run")
    run_folder.write_state("q", inputs(**options), ["q/made"])
    state = run_folder.read_state("q")
    assert state is not None
    return state


class TestInputs:
    def test_a_folder_without_a_run_has_no_state(self) -> None:
        assert run_folder.read_state("q") is None

    def test_the_same_ones_may_go_on(self) -> None:
        run_folder.require_same(
            "q", begin(shapes={"data": (1, 3)}), inputs(shapes={"data": (1, 3)})
        )

    def test_others_are_named(self) -> None:
        state = begin(backend=None)
        Path("model").write_text("another network")
        with pytest.raises(ConfigError) as caught:
            run_folder.require_same("q", state, inputs(backend="amct"))
        assert "changed since: model, backend." in str(caught.value)
        assert "--restart" in str(caught.value)

    def test_one_that_is_not_there_is_an_error(self) -> None:
        with pytest.raises(FileFormatError, match="gone: cannot be read"):
            run_folder.describe_inputs({"model": "gone"})

    @pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.touch()])
    def test_a_file_that_the_run_made_must_be_as_it_was(self, change) -> None:
        state = begin()
        change(Path("q/made"))
        if Path("q/made").exists():
            run_folder.require_same("q", state, inputs())  # only touched
            Path("q/made").write_text("by somebody")
        with pytest.raises(ConfigError, match="q/made: it is gone or was changed"):
            run_folder.require_same("q", state, inputs())

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', '{"version": 1}'])
    def test_a_state_that_is_damaged_names_the_way_out(self, text: str) -> None:
        Path("q/run.json").write_text(text)
        with pytest.raises(FileFormatError, match="--restart"):
            run_folder.read_state("q")

    def test_a_run_can_be_forgotten(self) -> None:
        begin()
        run_folder.forget_state("q")
        run_folder.forget_state("q")
        assert run_folder.read_state("q") is None


SOLVER = Solver(parse('snapshot_prefix: "q/s" max_iter: 20'), "q/solver.prototxt")


def take(iteration: int, weights: bytes = WHOLE, state: bytes = WHOLE) -> None:
    snapshot = snapshot_of(SOLVER, iteration)
    Path(snapshot.weights).write_bytes(weights)
    Path(snapshot.state).write_bytes(state)


class TestTrained:
    """Whether training came to its end, and what it learned is as it was."""

    LEARNED = ("q/s.caffemodel", "q/record.txt")

    def learn(self) -> None:
        begin()
        for path in self.LEARNED:
            Path(path).write_text("learned")
        run_folder.write_trained("q", self.LEARNED)

    def test_a_run_that_was_interrupted_is_not(self) -> None:
        begin()
        assert not run_folder.is_trained("q", self.LEARNED)

    def test_one_that_said_so_is(self) -> None:
        self.learn()
        assert run_folder.is_trained("q", self.LEARNED)

    @pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.touch()])
    @pytest.mark.parametrize("path", LEARNED)
    def test_not_where_a_file_is_gone_or_another_one(self, path: str, change) -> None:
        self.learn()
        change(Path(path))
        if Path(path).exists():
            assert run_folder.is_trained("q", self.LEARNED)  # only touched
            Path(path).write_text("other")
        assert not run_folder.is_trained("q", self.LEARNED)

    def test_nor_where_the_run_is_forgotten(self) -> None:
        self.learn()
        run_folder.forget_state("q")
        assert not run_folder.is_trained("q", self.LEARNED)

    @pytest.mark.parametrize(
        "text", ["", "[]", "{}", '{"version": 1, "learned": 3}', '{"version": 9, "learned": {}}']
    )
    def test_what_is_damaged_names_the_way_out(self, text: str) -> None:
        self.learn()
        Path("q/trained.json").write_text(text)
        with pytest.raises(FileFormatError, match=r"trained.json: .*--restart"):
            run_folder.is_trained("q", self.LEARNED)


class TestLastSnapshot:
    def test_without_one_training_begins(self) -> None:
        begin()
        assert run_folder.last_snapshot("q", SOLVER) is None

    def test_it_is_the_one_of_most_iterations_that_is_whole(self) -> None:
        begin()
        take(9)
        take(10)
        take(15, state=WHOLE[:-1])
        take(16, weights=b"")
        take(30)  # of a longer training
        found = run_folder.last_snapshot("q", SOLVER)
        assert found is not None
        assert found.iteration == 10

    def test_those_of_an_earlier_run_do_not_count(self) -> None:
        take(10)
        os.utime("q/s_iter_10.solverstate", (1, 1))
        begin()
        assert run_folder.last_snapshot("q", SOLVER) is None


HOLD = """
import sys
from amct_caffe.training.run_folder import locked
with locked("q"):
    print("held", flush=True)
    sys.stdin.read()
"""


class TestLock:
    def test_a_second_run_is_refused_and_named_the_first(self) -> None:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TrainingError) as caught, run_folder.locked("q"):
            pass
        assert f"another run is at work here: process {holder.pid} on " in str(caught.value)
        holder.kill()
        holder.communicate()
        assert Path("q/run.lock").exists(), "killed, it could not remove it"
        with run_folder.locked("q"):
            assert Path("q/run.lock").exists()
        assert not Path("q/run.lock").exists()

    def test_a_folder_is_made_and_goes_again_if_nothing_was_written(self) -> None:
        with run_folder.locked("new/folder"):
            assert Path("new/folder").is_dir()
        assert not Path("new").exists()

    def test_a_folder_with_files_stays(self) -> None:
        with run_folder.locked("new/folder"):
            Path("new/folder/file").touch()
        assert Path("new/folder/file").exists()

    def test_one_that_cannot_be_made_is_an_error(self) -> None:
        with (
            pytest.raises(AmctError, match="model/q: cannot be written"),
            run_folder.locked("model/q"),
        ):
            pass


@pytest.mark.parametrize("name", ["modified_model.prototxt", "solver.prototxt", "record.txt"])
def test_a_run_never_writes_over_its_solver(name: str) -> None:
    solver = Path("q", name)
    solver.write_text('net: "model"')
    with pytest.raises(ConfigError, match="solver_file, which is read"):
        workflow.run_all("model", "weights", str(solver), "q")
    assert solver.read_text() == 'net: "model"'
