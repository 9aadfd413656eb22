"""Solver prototxts: Caffe's defaults, the old type, what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from amct_caffe.model.formats.prototxt import solver as solvers
from amct_core.errors import FileFormatError
from amct_core.network_state import NetworkState


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Return a reader of texts by way of a file ``solver.prototxt``."""

    def read_text(text: str) -> solvers.Solver:
        path = tmp_path / "solver.prototxt"
        path.write_text(text)
        return solvers.read(str(path))

    return read_text


def test_fields_have_their_values(read: Any) -> None:
    solver = read(
        'train_net: "a" test_net: "b" test_net: "c" test_iter: 3 test_iter: 4 max_iter: 10 '
        'test_interval: 5 test_initialization: false snapshot_prefix: "x/y" type: "Adam" '
        "display: 2 iter_size: 3 average_loss: 4"
    )
    assert (solver.display, solver.iter_size, solver.average_loss) == (2, 3, 4)
    assert (solver.net, solver.train_net, list(solver.test_nets)) == (None, "a", ["b", "c"])
    assert list(solver.test_iter) == [3, 4]
    assert (solver.max_iter, solver.test_interval) == (10, 5)
    assert solver.test_initialization is False
    assert (solver.snapshot_prefix, solver.type) == ("x/y", "Adam")


def test_what_is_not_said_is_as_in_caffe(read: Any, tmp_path: Path) -> None:
    solver = read('net: "a"')
    assert solver.net == "a"
    assert list(solver.test_nets) == list(solver.test_iter) == []
    assert (solver.max_iter, solver.test_interval, solver.type) == (0, 0, "SGD")
    assert (solver.display, solver.iter_size, solver.average_loss) == (0, 1, 1)
    assert solver.snapshot_interval == 0
    assert solver.test_initialization is True
    assert solver.snapshot_prefix == str(tmp_path / "solver")


def test_a_folder_as_snapshot_prefix_is_completed_as_in_caffe(read: Any, tmp_path: Path) -> None:
    assert read(f'snapshot_prefix: "{tmp_path}"').snapshot_prefix == str(tmp_path / "solver")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SGD", "SGD"),
        ("NESTEROV", "Nesterov"),
        ("ADAGRAD", "AdaGrad"),
        ("RMSPROP", "RMSProp"),
        ("ADADELTA", "AdaDelta"),
        ("ADAM", "Adam"),
        ("5", "Adam"),
    ],
)
def test_the_old_type_becomes_the_present_one_in_its_place(read: Any, old: str, new: str) -> None:
    solver = read(f'net: "a"\nsolver_type: {old}\nvendor: 1\n')
    assert solver.type == new
    assert solver.format() == f'net: "a"\ntype: "{new}"\nvendor: 1\n'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('type: "SGD" solver_type: SGD', "both"),
        ("solver_type: FAST", "ADAM"),
        ("max_iter: ten", "max_iter"),
        ("max_iter 10", "line 1"),
        ('layer { name: "a" }', "a network"),
    ],
)
def test_a_damaged_solver_gives_an_error_that_names_it(read: Any, text: str, found: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        read(text)
    assert str(caught.value.file).endswith("solver.prototxt")
    assert found in str(caught.value)


def test_redirecting_changes_net_and_prefix_alone(read: Any) -> None:
    solver = read('base_lr: 0.1\ntrain_net: "a"\ntest_net: "b"\nvendor: 1\nsnapshot_prefix: "p"\n')
    redirected = solvers.redirect(solver, "new", "q", "a")
    assert (redirected.net, redirected.train_net, list(redirected.test_nets)) == ("new", None, [])
    assert redirected.snapshot_prefix == "q"
    assert redirected.message.number("base_lr") == 0.1
    assert redirected.message.has("vendor")
    assert solver.train_net == "a"


def test_the_states_are_those_of_training_and_of_the_first_test(read: Any) -> None:
    solver = read(
        'net: "a" test_iter: 1 test_iter: 2 train_state { stage: "t" } '
        'test_state { level: 1 stage: "u" stage: "v" } test_state: { stage: "w" }'
    )
    assert solver.states.train == NetworkState(stages=["t"])
    assert solver.states.test == NetworkState(1, ["u", "v"])
    assert not read('net: "a" test_iter: 1').states.test.is_given


def test_testing_nets_are_in_caffes_order(read: Any) -> None:
    solver = read(
        'net: "a" test_net: "b" test_net: "c" test_net_param { } '
        "test_iter: 1 test_iter: 2 test_iter: 3 test_iter: 4 test_iter: 5"
    )
    assert [(net.field, net.file) for net in solver.testing_nets()] == [
        ("test_net_param", None),
        ("test_net", "b"),
        ("test_net", "c"),
        ("net", "a"),
        ("net", "a"),
    ]


def test_redirecting_keeps_the_tests_of_the_network_in_other_states(read: Any) -> None:
    solver = read(
        'net: "a" test_iter: 5 test_iter: 6 test_state { stage: "u" } test_state { stage: "v" }'
    )
    redirected = solvers.redirect(solver, "new", "q", "a")
    assert redirected.test_iter == [5, 6]
    assert redirected.test_states == solver.test_states


def test_redirecting_leaves_out_tests_of_other_networks_behind_the_first(read: Any) -> None:
    solver = read(
        'train_net: "a" test_net: "b" test_net: "c" test_net: "a" test_iter: 5 test_iter: 6 '
        'test_iter: 7 test_state { stage: "u" } test_state { stage: "v" } test_state { level: 2 }'
    )
    redirected = solvers.redirect(solver, "new", "q", "./a")
    assert [net.file for net in redirected.testing_nets()] == ["new", "new"]
    assert redirected.test_iter == [5, 7]
    assert redirected.test_states == [NetworkState(stages=["u"]), NetworkState(level=2)]


@pytest.mark.caffe
@pytest.mark.parametrize("kind", ["SGD", "NESTEROV", "ADAGRAD", "RMSPROP", "ADADELTA", "ADAM"])
def test_caffe_has_every_type_that_an_old_one_becomes(caffe: Any, read: Any, kind: str) -> None:
    assert hasattr(caffe, read(f"solver_type: {kind}").type + "Solver")


def test_real_solvers_are_read(models: Path) -> None:
    solver = solvers.read(str(models / "lenet/lenet_solver.prototxt"))
    assert (solver.net, solver.max_iter, solver.test_interval) == (
        "examples/mnist/lenet_train_test.prototxt",
        10000,
        500,
    )
