"""``amct verify`` where there is no Caffe: the fast engine beside the reference engine."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any, Callable, Dict, FrozenSet, Mapping, Sequence

import numpy as np
import pytest

from amct_core.cli.main import cli
from amct_core.errors import ConfigError, EnvironmentUnsuitableError
from amct_core.graph import Node, Value
from cpu_sim_backend import Simulator
from cpu_sim_backend.verify import verify
from plugins.cpu_sim_backend.tests.integers.corrupting import Saved, save

Arrays = Dict[Value, np.ndarray]
Fault = Callable[[Arrays], None]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Return a saved network of three layers, behind a float layer that Caffe rounds otherwise."""
    return save(tmp_path, with_norm=True)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that makes libraries look as if they were not installed."""
    find_spec = importlib.util.find_spec

    def hide(*names: str) -> None:
        def found(name: str, package: Any = None) -> Any:
            return None if name in names else find_spec(name, package)

        monkeypatch.setattr("importlib.util.find_spec", found)
        for module in ("executor", "pycaffe"):  # they look for Caffe when they are imported
            monkeypatch.delitem(sys.modules, f"amct_caffe.runtime.{module}", raising=False)

    return hide


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fault], None]:
    """Return a function that makes the fast engine wrong in a way of the test's choice."""
    engine = pytest.importorskip("cpu_sim_backend.fast.engine").FastEngine
    right = engine.run

    def install(change: Fault) -> None:
        def run(self: Any, inputs: Mapping[str, Any], wanted: FrozenSet[Value]) -> Arrays:
            found: Arrays = {v: array.copy() for v, array in right(self, inputs, wanted).items()}
            change(found)
            return found

        monkeypatch.setattr(engine, "run", run)

    return install


def amct_verify(saved: Saved, capsys: Any, *options: str) -> tuple[int, Dict[str, Any], str]:
    """Return exit status, report and standard error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli(["verify", saved.prefix, "--data", saved.data, "--json", *options], prog_name="amct")
    captured = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, json.loads(captured.out or "{}"), captured.err


def deployed(saved: Saved) -> tuple[str, str]:
    return f"{saved.prefix}_deploy_model.prototxt", f"{saved.prefix}_deploy_weights.caffemodel"


def quantized(saved: Saved) -> Sequence[Node]:
    simulator = Simulator(*deployed(saved), engine="reference")
    return [layer.node for layer in simulator.quantized_layers]


def layer(report: Dict[str, Any], name: str) -> Dict[str, Any]:
    (found,) = (entry for entry in report["layers"] if entry["name"] == name)
    return dict(found)


@pytest.mark.parametrize("asked", [True, False], ids=["on request", "where there is no Caffe"])
def test_the_engines_are_compared(
    saved: Saved, capsys: Any, without: Callable[..., None], asked: bool
) -> None:
    pytest.importorskip("numba")
    pytest.importorskip("onnxruntime")
    if not asked:
        without("caffe")
    status, report, err = amct_verify(saved, capsys, *(["--against", "reference"] * asked))
    assert (status, report["exact"], report["samples"]) == (0, True, 4)
    assert report["compared"] == "the reference engine with the fast engine"
    assert [entry["name"] for entry in report["layers"]] == ["one", "two", "three"]
    assert ("pycaffe is not installed" in err and "fast engine instead" in err) == (not asked)


def test_the_framework_is_not_replaced_where_it_is_asked_for(
    saved: Saved, capsys: Any, without: Callable[..., None]
) -> None:
    without("caffe")
    status, report, err = amct_verify(saved, capsys, "--against", "framework")
    assert (status, report) == (1, {})
    assert "pycaffe is not installed" in err


def test_the_fake_quant_model_need_not_be_there(saved: Saved) -> None:
    pytest.importorskip("numba")
    pytest.importorskip("onnxruntime")
    for path in Path(saved.prefix).parent.glob("saved_fake_quant*"):
        path.unlink()
    with np.load(saved.data) as data:
        assert verify(saved.prefix, dict(data), against="reference").exact


def test_an_engine_is_not_compared_with_itself(saved: Saved, without: Callable[..., None]) -> None:
    with np.load(saved.data) as file:
        data = dict(file)
    with pytest.raises(ConfigError, match="reference engine would be compared with itself"):
        verify(saved.prefix, data, engine="reference", against="reference")
    without("caffe")
    with pytest.raises(ConfigError, match="reference engine would be compared with itself"):
        verify(saved.prefix, data, engine="reference")


@pytest.mark.parametrize("engine", ["auto", "fast"])
def test_a_missing_fast_engine_is_named(
    saved: Saved, without: Callable[..., None], engine: str
) -> None:
    without("caffe", "numba")
    with pytest.raises(EnvironmentUnsuitableError, match="fast engine needs numba") as told:
        verify(saved.prefix, {"data": np.zeros((1, 3, 6, 6))}, engine=engine)
    remedy = str(told.value.remedy)
    assert "pip install --find-links FOLDER 'amct[fast]" in remedy
    assert "reference" not in remedy  # which is what the fast engine would be compared with


def test_what_one_engine_can_do_may_be_left_to_the_reference_engine(
    saved: Saved, without: Callable[..., None]
) -> None:
    without("numba")
    with pytest.raises(EnvironmentUnsuitableError, match="or use the reference engine"):
        Simulator(*deployed(saved), engine="fast")


def test_an_unknown_counterpart_is_a_usage_error(saved: Saved, capsys: Any) -> None:
    assert amct_verify(saved, capsys, "--against", "itself")[0] == 2
    with pytest.raises(ConfigError, match=r"field 'against'.*framework, reference"):
        verify(saved.prefix, {}, against="itself")


def test_a_wrong_accumulator_is_found(
    saved: Saved, capsys: Any, fault: Callable[[Fault], None]
) -> None:
    sums = Value(quantized(saved)[1].tops[0])

    def one_more(found: Arrays) -> None:
        if sums in found:
            found[sums][2, 1, 3, 4] += 1

    fault(one_more)
    status, report, _ = amct_verify(saved, capsys, "--against", "reference")
    assert (status, report["exact"]) == (1, False)
    two = layer(report, "two")
    assert (two["input_int8_mismatches"], two["accumulator_mismatches"]) == (0, 1)
    first = two["first_difference"]
    assert (first["where"], first["index"]) == ("accumulator", [2, 1, 3, 4])
    assert first["simulated"] - first["framework"] == 1


def test_a_wrong_input_is_no_excuse_between_engines(
    saved: Saved, capsys: Any, fault: Callable[[Fault], None]
) -> None:
    """``norm`` equals Caffe's to 1e-6 only, but between engines every bit counts."""

    integers = Value(quantized(saved)[0].bottoms[0])

    def changed(found: Arrays) -> None:
        if integers in found:
            found[integers].flat[5] ^= 1

    fault(changed)
    with np.load(saved.data) as file:
        data = dict(file)
    report = verify(saved.prefix, data, against="reference")
    first = report.layers[0]
    assert not report.exact
    assert (first.input_int8_mismatches, first.accumulator_mismatches) == (1, 0)
    assert first.inexact_upstream == ()
    assert first.first_difference is not None
    assert first.first_difference["where"] == "input"


def test_a_layer_is_judged_on_the_same_inputs_by_the_engine_itself(
    saved: Saved, fault: Callable[[Fault], None]
) -> None:
    """With other inputs, the sums are the fast engine's own, not those of the specification."""

    one = quantized(saved)[0]
    integers, sums = Value(one.bottoms[0]), Value(one.tops[0])

    def both(found: Arrays) -> None:
        if integers in found:
            found[integers].flat[7] ^= 1
        found[sums].flat[0] += 3

    fault(both)
    with np.load(saved.data) as data:
        report = verify(saved.prefix, dict(data), against="reference")
    assert report.layers[0].input_int8_mismatches == 1
    assert report.layers[0].accumulator_mismatches == 1


def test_the_largest_accumulator_is_that_of_the_data(saved: Saved) -> None:
    simulator = Simulator(*deployed(saved), engine="reference")
    with np.load(saved.data) as file:
        data = dict(file)
    pytest.importorskip("numba")
    pytest.importorskip("onnxruntime")
    report = verify(saved.prefix, data, batch_size=3, against="reference")
    for layer, found in zip(simulator.quantized_layers, report.layers):
        (sums,) = simulator.run(data, [layer.accumulator.name]).values()
        assert found.max_abs_accumulator == np.abs(sums.astype(np.int64)).max() > 0
