"""Snapshots: their names, whether they are whole, and what their state refers to."""

from __future__ import annotations

from pathlib import Path

import pytest

from amct_caffe.model.formats.prototxt.solver import Solver
from amct_caffe.model.formats.snapshots import snapshot_of, snapshots_of, weights_of_state
from amct_core.errors import EnvironmentUnsuitableError, FileFormatError
from amct_core.textproto import parse

LEARNED_NET = b"\x12\x0cs.caffemodel"
"""``learned_net: "s.caffemodel"`` of a SolverState, as protobuf writes it."""

ITERATION = b"\x08\x05"


def solver(text: str = "") -> Solver:
    return Solver(parse(f'snapshot_prefix: "s" {text}'), "solver.prototxt")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(iteration: int, weights: bytes = LEARNED_NET, state: bytes = LEARNED_NET) -> None:
    snapshot = snapshot_of(solver(), iteration)
    Path(snapshot.weights).write_bytes(weights)
    Path(snapshot.state).write_bytes(state)


@pytest.mark.parametrize(("said", "ending"), [("", ""), ("snapshot_format: HDF5", ".h5")])
def test_the_names_are_caffes(said: str, ending: str) -> None:
    snapshot = snapshot_of(solver(said), 20)
    assert snapshot.weights == f"s_iter_20.caffemodel{ending}"
    assert snapshot.state == f"s_iter_20.solverstate{ending}"


def test_one_that_is_cut_off_anywhere_is_not_whole() -> None:
    write(5)
    assert snapshot_of(solver(), 5).is_whole
    for kind in ("weights", "state"):
        for length in range(len(LEARNED_NET)):
            write(5, **{kind: LEARNED_NET[:length]})
            assert not snapshot_of(solver(), 5).is_whole, (kind, length)


def test_one_without_weights_is_not_whole() -> None:
    write(5)
    Path(snapshot_of(solver(), 5).weights).unlink()
    assert not snapshot_of(solver(), 5).is_whole


def test_those_of_a_solver_are_listed_by_their_iterations_not_by_their_names() -> None:
    for iteration in (9, 10, 100):
        write(iteration)
    Path("other_iter_200.solverstate").touch()
    Path("s_iter_300.solverstate.h5").touch()  # of another format than the solver's
    assert [each.iteration for each in snapshots_of(solver())] == [100, 10, 9]


def test_a_state_names_its_weights() -> None:
    Path("a").write_bytes(ITERATION + LEARNED_NET)
    assert weights_of_state("a") == "s.caffemodel"


def test_a_state_may_name_none() -> None:
    Path("a").write_bytes(ITERATION)
    assert weights_of_state("a") is None


def test_a_file_that_is_no_state_is_refused() -> None:
    Path("a").write_bytes(b"\x12\xff\xff\xff\x0fs")
    with pytest.raises(FileFormatError):
        weights_of_state("a")


def test_a_state_in_hdf5_names_its_weights() -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File("a.h5", "w") as file:
        file["learned_net"] = "s.caffemodel.h5"
    assert weights_of_state("a.h5") == "s.caffemodel.h5"
    Path("b.h5").write_bytes(b"no HDF5")
    with pytest.raises(FileFormatError):
        weights_of_state("b.h5")


def test_without_h5py_the_user_is_asked_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(EnvironmentUnsuitableError, match="--weights"):
        weights_of_state("a.h5")
