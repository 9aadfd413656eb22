"""Float layers that the simulation lacks: what they give is taken from the fake-quant model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

import attrs
import numpy as np
import pytest

from amct_core.errors import ModelError
from cpu_sim_backend import Simulator
from cpu_sim_backend.data.choice import DataOptions
from cpu_sim_backend.evaluation import EvaluationOptions, evaluate
from cpu_sim_backend.verify import verify
from plugins.cpu_sim_backend.tests.integers.corrupting import Saved
from plugins.cpu_sim_backend.tests.verdicts.in_caffe import save

pytestmark = pytest.mark.caffe

BEFORE = """
layer { name: "data" type: "Input" top: "data" input_param { shape {
  dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "one" type: "Convolution" bottom: "data" top: "one"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
"""
AFTER = """
layer { name: "two" type: "InnerProduct" bottom: "%s" top: "two"
  inner_product_param { num_output: 5 } }
layer { name: "relu" type: "ReLU" bottom: "two" top: "two" }
layer { name: "three" type: "InnerProduct" bottom: "two" top: "three"
  inner_product_param { num_output: 3 } }
"""
SPP = 'layer { name: "spp" type: "SPP" bottom: "one" top: "spp" spp_param { pyramid_height: 2 } }'
COLUMNS = """layer { name: "columns" type: "Im2col" bottom: "one" top: "columns"
  convolution_param { kernel_size: 3 stride: 2 } }"""
PLACES = """layer { name: "pool" type: "Pooling" bottom: "one" top: "pool" top: "places"
  pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "both" type: "Concat" bottom: "pool" bottom: "places" top: "both" }"""
OWN = """layer { name: "own" type: "Python" bottom: "one" top: "one"
  python_param { module: "layer_of_the_user" layer: "Doubled" } }
layer { name: "clipped" type: "ReLU" bottom: "one" top: "one" }"""
CHAIN = f"""{SPP}
layer {{ name: "own" type: "Python" bottom: "spp" top: "own" top: "none"
  python_param {{ module: "layer_of_the_user" layer: "Doubled" }} }}"""

MODULE = """
import caffe

class Doubled(caffe.Layer):
    def setup(self, bottom, top):
        pass
    def reshape(self, bottom, top):
        for index in range(len(top)):
            top[index].reshape(*bottom[0].data.shape)
    def forward(self, bottom, top):
        doubled = 2 * bottom[0].data - 0.5
        for index in range(len(top)):
            top[index].data[...] = doubled
    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 2 * top[0].diff
"""

NETWORKS: Dict[str, Tuple[str, str, List[str]]] = {
    "SPP": (SPP, "spp", ["spp"]),
    "Im2col": (COLUMNS, "columns", ["columns"]),
    "Pooling that gives the places of maxima": (PLACES, "both", ["pool"]),
    "of the user, in place": (OWN, "one", ["own"]),
    "one after the other": (CHAIN, "own", ["spp", "own"]),
}


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of Python layers that Caffe finds."""
    (tmp_path / "layer_of_the_user.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def saved(folder: Path, network: str) -> Saved:
    layers, last, _ = NETWORKS[network]
    data = np.random.default_rng(5).normal(0, 1, (5, 3, 8, 8)).astype(np.float32)
    return save(folder, BEFORE + layers + AFTER % last, data=data)


@pytest.mark.parametrize("network", ["SPP", "one after the other"])
def test_evaluate_takes_it_from_there_too(on_path: Path, network: str) -> None:
    found = saved(on_path, network)
    columns = evaluate(found.prefix, EvaluationOptions(DataOptions(found.data), batch_size=2))
    integer, fake_quant = columns.column("integer"), columns.column("fake-quant")
    fed = ", ".join(NETWORKS[network][2])
    assert f"what {fed} give is taken from fake-quant in Caffe" in integer.description
    assert integer.outputs[-1] == fake_quant.outputs[-1]
    assert integer.outputs[-1].blob == "three"


@pytest.mark.parametrize("engine", ["reference", "auto"])
@pytest.mark.parametrize("network", NETWORKS)
def test_layers_behind_it_are_compared_and_it_is_named(
    on_path: Path, capsys: Any, network: str, engine: str
) -> None:
    found = saved(on_path, network).verify(capsys, "--engine", engine, "--batch-size", "2")
    report = found.report
    assert (found.exit_code, report["exact"], report["exact_integers"]) == (0, True, True)
    assert report["fed_layers"] == NETWORKS[network][2]
    assert [layer["name"] for layer in report["layers"]] == ["one", "two", "three"]
    assert [output["blob"] for output in report["outputs"]][-1] == "three"


def test_what_it_reads_is_compared(on_path: Path, capsys: Any) -> None:
    """A wrong bias shows in what the layer reads, whatever the layer makes of it."""
    own = saved(on_path, "of the user, in place")

    def one_bias(blobs: Dict[str, Any]) -> None:
        blobs["one"][1][2] += 5000

    own.damage(one_bias)
    found = own.verify(capsys)
    assert found.exit_code == 1
    (read,) = (each for each in found.report["floats"] if each["fed_layer"] == "own")
    assert (read["blob"], read["different_values"]) == ("one", 5 * 64)
    assert found.layer("two")["input_int8_mismatches"] == 0, "it gives what Caffe's gives"


def test_layers_behind_it_are_wrong_if_they_are(on_path: Path, capsys: Any) -> None:
    own = saved(on_path, "SPP")

    def one_row(blobs: Dict[str, Any]) -> None:
        blobs["three"][0][1] ^= 3

    own.damage(one_row)
    found = own.verify(capsys)
    assert (found.exit_code, found.report["exact_integers"]) == (1, False)
    assert found.layer("three")["accumulator_mismatches"] > 0


def test_an_output_that_it_gives_is_not_claimed_to_be_compared(on_path: Path, capsys: Any) -> None:
    data = np.zeros((2, 3, 8, 8), np.float32)
    found = save(on_path, BEFORE + SPP, data=data).verify(capsys)
    assert found.exit_code == 0
    assert found.report["outputs"] == []
    assert [each["blob"] for each in found.report["floats"]] == ["one"]


def test_without_caffe_the_layer_is_an_error_that_names_it(on_path: Path) -> None:
    own = saved(on_path, "SPP")
    with np.load(own.data) as file:
        data = dict(file)
    with pytest.raises(ModelError, match=r"layer 'spp'.*'SPP' cannot be simulated"):
        verify(own.prefix, data, against="reference")
    files = f"{own.prefix}_deploy_model.prototxt", f"{own.prefix}_deploy_weights.caffemodel"
    with pytest.raises(ModelError, match=r"layer 'spp'.*'SPP' cannot be simulated"):
        Simulator(*files)
    feeding = Simulator(*files, feed_unknown=True)
    with pytest.raises(ModelError, match=r"layer 'spp'.*1 arrays are not given"):
        feeding.run(data)


def test_wrong_data_are_an_error_before_caffe_sees_them(on_path: Path) -> None:
    """Caffe would end the process."""
    own = saved(on_path, "SPP")
    with pytest.raises(ModelError, match=r"input 'data' is .* expected numbers of shape"):
        verify(own.prefix, {"data": np.zeros((2, 5, 8, 8), np.float32)}, against="framework")
    with pytest.raises(ModelError, match="expected one array for each of"):
        verify(own.prefix, {"other": np.zeros((2, 3, 8, 8), np.float32)}, against="framework")


def test_two_layers_of_one_name_cannot_be_told_apart(on_path: Path) -> None:
    from cpu_sim_backend.feeding import with_fed_layers

    own = saved(on_path, "SPP")
    files = f"{own.prefix}_deploy_model.prototxt", f"{own.prefix}_deploy_weights.caffemodel"
    graph = Simulator(*files, feed_unknown=True).graph
    renamed = [attrs.evolve(n, name="spp") if n.name == "relu" else n for n in graph.nodes]
    twice = graph.replace(renamed)
    with pytest.raises(ModelError, match="another layer has this name"):
        with_fed_layers(twice, frozenset(n for n in twice.nodes if n.op == "SPP"))
