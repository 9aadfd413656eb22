"""Networks of known layers whose inputs are not as long as each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amct_core.cli.main import cli
from cpu_sim_backend import Simulator
from plugins.cpu_sim_backend.tests.integers.corrupting import Saved, quantized
from tests.conformance.weights import write_random_weights

NETWORK = """
layer { name: "few" type: "Input" top: "few" input_param { shape { dim: 1 dim: 3 dim: 5 dim: 5 } } }
layer { name: "many" type: "Input" top: "many"
  input_param { shape { dim: 3 dim: 3 dim: 5 dim: 5 } } }
layer { name: "all" type: "Concat" bottom: "few" bottom: "many" top: "all"
  concat_param { axis: 0 } }
layer { name: "one" type: "Convolution" bottom: "all" top: "one"
  convolution_param { num_output: 4 kernel_size: 3 } }
"""


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Return a saved network with two batches of four rows: one of ``few``, three of ``many``."""
    (tmp_path / "n.prototxt").write_text(NETWORK)
    write_random_weights(str(tmp_path / "n.prototxt"), tmp_path / "n.caffemodel")
    generator = np.random.default_rng(2)
    few, many = (generator.normal(0, 1, (n, 3, 5, 5)).astype(np.float32) for n in (2, 6))
    return quantized(tmp_path, few=few, many=many)


@pytest.mark.parametrize("engine", ["reference", "auto"])
def test_simulate_writes_the_rows_of_all_batches(
    saved: Saved, tmp_path: Path, capsys: Any, engine: str
) -> None:
    output = str(tmp_path / "y.npz")
    options = ["--data", saved.data, "-o", output, "--engine", engine, "--json"]
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli(["simulate", saved.prefix, *options], prog_name="amct")
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 2
    files = f"{saved.prefix}_deploy_model.prototxt", f"{saved.prefix}_deploy_weights.caffemodel"
    simulator = Simulator(*files, engine="reference")
    with np.load(saved.data) as data, np.load(output) as found:
        parts = [
            {"few": data["few"][i : i + 1], "many": data["many"][3 * i : 3 * i + 3]} for i in (0, 1)
        ]
        expected = np.concatenate([simulator.run(part)["one"] for part in parts])
        np.testing.assert_array_equal(found["one"], expected)
        assert len(expected) == 8


@pytest.mark.caffe
def test_verify_compares_them(saved: Saved, capsys: Any) -> None:
    found = saved.verify(capsys)
    assert (found.exit_code, found.report["exact"], found.report["samples"]) == (0, True, 2)


def test_a_difference_is_counted_through_all_batches(saved: Saved) -> None:
    """Its first index is the row of the blob, not of an input."""
    from cpu_sim_backend.counterparts import EngineCounterpart
    from cpu_sim_backend.verify import compare

    files = f"{saved.prefix}_deploy_model.prototxt", f"{saved.prefix}_deploy_weights.caffemodel"
    pytest.importorskip("numba")
    simulator = Simulator(*files, engine="fast")
    other = EngineCounterpart(Simulator(*files, engine="reference"), simulator)
    right = other.run
    calls = []

    def wrong_in_the_second_batch(batch: Any) -> Any:
        found = right(batch)
        calls.append(batch)
        if len(calls) == 2:
            found.layers["one"].accumulator[1, 2, 0, 1] += 1
        return found

    other.run = wrong_in_the_second_batch  # type: ignore[method-assign]
    with np.load(saved.data) as data:
        (layer,) = compare(other, simulator, dict(data)).layers
    assert layer.first_difference is not None
    assert layer.first_difference["index"] == [4 + 1, 2, 0, 1]
