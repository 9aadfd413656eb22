"""Quantization-aware training that starts from a record of post-training quantization."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from amct_core import record as records
from amct_core.cli.main import cli
from amct_core.ptq import workflow
from cpu_sim_backend.ptq import SimulatorEngine
from plugins.amct_caffe.tests.ptq import networks
from plugins.amct_caffe.tests.qat.nets import convolution, relu

caffe = pytest.importorskip("caffe")

pytestmark = pytest.mark.caffe

NETWORK = "".join(
    [
        'name: "net"\n',
        networks.input_layer("data"),
        convolution("first", "data", 6, 3),
        relu("relu", "first"),
        networks.normalized("before", "first", "before"),
        convolution("second", "before", 4, 3),
        convolution("third", "second", 4, 3),
    ]
)
FILES = "net.prototxt", "net.caffemodel"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with a network and its calibrated record."""
    monkeypatch.chdir(tmp_path)
    networks.write(tmp_path, NETWORK)
    assert amct("ptq", "config", *FILES, "-o", "p.json")[0] == 0
    assert amct("qat", "config", *FILES, "-o", "q.json")[0] == 0
    network = workflow.start("p.json", *FILES, "r.txt")
    workflow.calibrate(network, [{"data": networks.arrays(0)["data"]}], SimulatorEngine())
    return tmp_path


def amct(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, arguments, prog_name="amct")
    shown = done.output if done.exception is None else f"{done.output}{done.exception}"
    return done.exit_code, " ".join(shown.split())


def inserted(*options: str) -> tuple[int, str]:
    return amct("qat", "insert", *FILES, "-c", "q.json", "-o", "out", *options)


def bounds() -> dict[str, tuple[float, float, float]]:
    """Return clip_max, clip_min and whether they are set, by the layer that is quantized."""
    net = caffe.Net("out/modified_model.prototxt", "out/modified_model.caffemodel", caffe.TEST)
    found = {}
    for name in ("first", "second", "third"):
        (own,) = [each for each in net.params if each.startswith(f"{name}_") and "act" in each]
        high, low, state = (blob.data for blob in net.params[own])
        found[name] = float(high[0]), float(low[0]), float(state[1])
    return found


def test_training_begins_with_the_bounds_of_the_record(folder: Path) -> None:
    assert inserted("--record", "r.txt")[0] == 0
    record, found = records.read("r.txt"), bounds()
    for name in ("first", "third"):
        entry, (high, low, is_set) = record.get(name), found[name]
        assert (high - low) / 255 == pytest.approx(float(entry.scale_d or 0), rel=1e-6)
        assert round(-low / float(entry.scale_d or 0)) - 128 == entry.offset_d
        assert is_set == 1
    # 'second' took over the BatchNorm before it, so its factors are those of another blob.
    assert found["second"][2] == 0


def test_without_a_record_the_bounds_are_not_set(folder: Path) -> None:
    assert inserted()[0] == 0
    assert {is_set for _, _, is_set in bounds().values()} == {0}


def test_a_record_of_another_network_is_refused(folder: Path) -> None:
    text = Path("r.txt").read_text()
    for name in ("first", "second", "third"):
        text = text.replace(f'"{name}"', f'"other_{name}"')
    Path("other.txt").write_text(text)
    status, out = inserted("--record", "other.txt")
    assert status == 1
    assert "expected those of quantized layers: first, second, third" in out
    assert not Path("out").exists()
