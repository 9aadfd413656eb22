"""What a training starts from: weights, or a state that names them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from amct_caffe.training.start import Start
from amct_core.cli.main import cli
from amct_core.errors import ConfigError, ModelError

LEARNED_NET = b"\x12\x0cs.caffemodel"
"""``learned_net: "s.caffemodel"`` of a SolverState, as protobuf writes it."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_weights_that_are_given_are_taken() -> None:
    start = Start("w.caffemodel", resume="gone.solverstate")
    assert start.complete() is start


def test_a_state_names_the_others() -> None:
    Path("s.solverstate").write_bytes(LEARNED_NET)
    assert Start(resume="s.solverstate").complete().weights == "s.caffemodel"


def test_one_of_them_is_needed() -> None:
    with pytest.raises(ConfigError, match="--weights"):
        Start().complete()
    done = CliRunner().invoke(cli, ["qat", "train", "solver.prototxt"])
    assert done.exit_code == 2
    assert "give --weights, or --resume." in done.output


def test_a_state_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"gone\.solverstate: there is no such file"):
        Start(resume="gone.solverstate").complete()


def test_a_state_that_names_none_asks_for_them() -> None:
    Path("s.solverstate").write_bytes(b"\x08\x05")
    with pytest.raises(ModelError, match="Give them with --weights"):
        Start(resume="s.solverstate").complete()
