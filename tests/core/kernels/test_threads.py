"""Work shared out over threads."""

from __future__ import annotations

import logging
import os
import threading
from typing import Dict, Iterator, List, Set

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.kernels import cores, threads
from amct_core.kernels.threads import share_out, thread_count


@given(count=st.integers(0, 60), least=st.integers(1, 20), threads=st.integers(1, 5))
def test_every_piece_is_worked_on_once(count: int, least: int, threads: int) -> None:
    done = [0] * count

    def work(begin: int, end: int) -> None:
        for piece in range(begin, end):
            done[piece] += 1

    share_out(count, work, least, threads)
    assert done == [1] * count


def test_pieces_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=20)
    share_out(3, lambda begin, end: meeting.wait() and None, threads=3)


def test_a_thread_that_is_held_up_leaves_its_ranges_to_the_others() -> None:
    held, done = threading.Event(), []

    def work(begin: int, end: int) -> None:
        if begin == 0:
            assert held.wait(20)
        done.extend(range(begin, end))
        if len(done) == 15:
            held.set()

    share_out(16, work, threads=2)
    assert sorted(done) == list(range(16))


def test_little_work_stays_in_the_calling_thread() -> None:
    seen = []
    share_out(7, lambda begin, end: seen.append(threading.current_thread()), 4, threads=3)
    assert seen == [threading.current_thread()]


@pytest.mark.parametrize("faulty", [0, 2])
def test_an_error_in_any_thread_arrives(faulty: int) -> None:
    def work(begin: int, end: int) -> None:
        if begin == faulty:
            raise ValueError(f"piece {begin}")

    with pytest.raises(ValueError, match=f"piece {faulty}"):
        share_out(3, work, threads=3)


def test_there_are_as_many_threads_as_blas_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "5")
    assert thread_count() == 5
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    assert thread_count() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "all")
    assert thread_count() == len(os.sched_getaffinity(0))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    share_out(2, lambda begin, end: None, threads=2)
    child = os.fork()
    if child == 0:
        share_out(2, lambda begin, end: None, threads=2)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def cores_of_the_other_thread() -> Set[int]:
    """Return the cores on which the thread may run that shares the work of this one."""
    meeting, found = threading.Barrier(2, timeout=20), []

    def work(begin: int, end: int) -> None:
        meeting.wait()
        if threading.current_thread() is not threading.main_thread():
            found.append(os.sched_getaffinity(0))

    share_out(2, work, threads=2)
    return found[0]


@pytest.fixture
def new_threads() -> Iterator[None]:
    """Let the test start threads of its own, which know of no other test."""
    threads._helpers.cache_clear()
    yield
    threads._helpers.cache_clear()


def test_the_core_that_runs_this_thread_is_one_of_its_cores() -> None:
    assert cores.current_core() in os.sched_getaffinity(0)


@pytest.mark.parametrize(
    ("allowed", "core", "others"),
    [({3, 5, 8}, 3, {5, 8}), ({3, 5, 8}, 8, {3, 5}), ({3, 5, 8}, 4, {3, 5, 8}), ({5}, 5, {5})],
)
def test_threads_are_kept_off_one_core_if_there_are_others(
    monkeypatch: pytest.MonkeyPatch, allowed: Set[int], core: int, others: Set[int]
) -> None:
    placed: Dict[int, Set[int]] = {}
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: allowed)
    monkeypatch.setattr(os, "sched_setaffinity", placed.__setitem__)
    cores.keep_off([threading.current_thread()], core)
    assert placed == {threading.get_native_id(): others}


def test_the_thread_that_helps_leaves_one_core_to_this_one(new_threads: None) -> None:
    allowed = os.sched_getaffinity(0)
    left = cores_of_the_other_thread()
    assert left <= allowed
    assert len(left) == max(1, len(allowed) - 1)


def test_threads_are_placed_anew_where_the_calling_one_has_moved(
    monkeypatch: pytest.MonkeyPatch, new_threads: None
) -> None:
    left: List[int] = []
    monkeypatch.setattr(threads, "keep_off", lambda own, core: left.append(core))
    for core in (0, 0, 1, 0):
        monkeypatch.setattr(threads, "current_core", lambda core=core: core)
        test_pieces_run_at_the_same_time()
    assert left == [0, 1, 0]


def test_threads_that_are_new_are_placed_as_well(
    monkeypatch: pytest.MonkeyPatch, new_threads: None
) -> None:
    placed: List[int] = []
    monkeypatch.setattr(threads, "keep_off", lambda own, core: placed.append(len(own)))
    monkeypatch.setattr(threads, "current_core", lambda: 0)
    for count in (2, 4):
        share_out(count, lambda begin, end: None, threads=count)
    assert placed == [1, 3]


def test_work_is_done_where_nobody_tells_the_core(
    monkeypatch: pytest.MonkeyPatch, new_threads: None
) -> None:
    monkeypatch.setattr(threads, "current_core", lambda: None)
    test_pieces_run_at_the_same_time()


def test_work_is_done_where_threads_cannot_be_placed(
    monkeypatch: pytest.MonkeyPatch, new_threads: None, caplog: pytest.LogCaptureFixture
) -> None:
    tries: List[int] = []

    def refused(own: object, core: int) -> None:
        tries.append(core)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(threads, "current_core", lambda: len(tries))
    monkeypatch.setattr(threads, "keep_off", refused)
    with caplog.at_level(logging.WARNING, "amct_core.kernels"):
        for _ in range(2):
            test_pieces_run_at_the_same_time()
    assert len(tries) == 1
    assert "Operation not permitted" in caplog.text
