"""Whatever a user names as an output, what a step reads stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest
from click.testing import CliRunner

import amct_caffe as amct
from amct_caffe.tensor_decompose import auto_decomposition
from amct_core.cli.main import cli
from amct_core.errors import ConfigError
from plugins.amct_caffe.tests.ptq import networks

pytest.importorskip("caffe")

pytestmark = pytest.mark.caffe

M, W, C, Q = "net.prototxt", "net.caffemodel", "c.json", "q.json"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with a network and both configurations."""
    monkeypatch.chdir(tmp_path)
    networks.write(tmp_path)
    amct.create_quant_config(C, M, W)
    amct.create_quant_retrain_config(Q, M, W)
    return tmp_path


def contents() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def quantize(model: str, weights: str) -> None:
    amct.quantize_model(amct.init(C, M, W, "r.txt"), model, weights)


def saved_as(prefix: str) -> None:
    """Convert a network that is called like what is saved under ``prefix``."""
    Path(M).rename(f"{prefix}_fake_quant_model.prototxt")
    amct.convert_model(f"{prefix}_fake_quant_model.prototxt", W, "none.txt", prefix)


CALLS: dict[str, Callable[[], object]] = {
    "record = weights": lambda: amct.init(C, M, W, W),
    "record = model": lambda: amct.init(C, M, W, M),
    "record = config": lambda: amct.init(C, M, W, C),
    "config = model": lambda: amct.create_quant_config(M, M, W),
    "config = weights": lambda: amct.create_quant_config(W, M, W),
    "QAT config = weights": lambda: amct.create_quant_retrain_config(W, M, W),
    "QAT model = model": lambda: amct.create_quant_retrain_model(M, W, Q, M, "w", "r"),
    "QAT record = weights": lambda: amct.create_quant_retrain_model(M, W, Q, "m", "w", W),
    "QAT record = first record": lambda: amct.create_quant_retrain_model(
        M, W, Q, "m", "w", C, initial_record_file=C
    ),
    "QAT outputs": lambda: amct.create_quant_retrain_model(M, W, Q, "m", "m", "r"),
    "decomposition onto its input": lambda: auto_decomposition(M, W, M, W),
    "decomposition into one file": lambda: auto_decomposition(M, W, "n", "n"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_that_would_overwrite_what_it_reads_is_refused(call: Callable[[], object]) -> None:
    before = contents()
    with pytest.raises(ConfigError, match="is the same file as"):
        call()
    assert contents() == before


@pytest.mark.parametrize("outputs", [(M, "w"), ("m", W), (C, "w"), ("r.txt", "w"), ("m", "m")])
def test_the_model_to_calibrate_is_no_other_file(outputs: tuple[str, str]) -> None:
    amct.init(C, M, W, "r.txt")
    before = contents()
    with pytest.raises(ConfigError, match="is the same file as"):
        quantize(*outputs)
    assert contents() == before


def test_a_model_is_not_saved_over_the_one_it_is_made_of() -> None:
    content = Path(M).read_bytes()
    with pytest.raises(ConfigError, match="save_path is the same file as model_file"):
        saved_as("x")
    assert Path("x_fake_quant_model.prototxt").read_bytes() == content
    amct.create_quant_config(C, "x_fake_quant_model.prototxt", W)
    graph = amct.init(C, "x_fake_quant_model.prototxt", W, "r.txt")
    with pytest.raises(ConfigError, match="save_path is the same file as model_file"):
        amct.save_model(graph, "Both", "x")


def test_the_command_refuses_it_too() -> None:
    before = contents()
    done = CliRunner().invoke(cli, ["ptq", "config", M, W, "-o", W])
    assert done.exit_code == 1
    assert contents() == before


def test_steps_find_their_files_from_another_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import caffe

    graph = amct.init(C, M, W, "r.txt")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    amct.quantize_model(graph, "m.prototxt", "m.caffemodel")
    net = caffe.Net("m.prototxt", "m.caffemodel", caffe.TEST)
    networks.run(net, networks.arrays(0))
    amct.save_model(graph, "Both", "s/m")
    assert (folder / "elsewhere/s/m_deploy_model.prototxt").is_file()
