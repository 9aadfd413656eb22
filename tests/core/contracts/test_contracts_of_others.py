"""What is checked of calibrators, shift-N searches, fallback strategies and backends."""

from __future__ import annotations

import types
from typing import Any, Callable, Dict

import numpy as np
import pytest

from amct_core.contracts.fallbacks import CheckedFallback
from amct_core.contracts.preparation import prepare
from amct_core.contracts.shifts import CheckedSearch
from amct_core.contracts.usage import Usage
from amct_core.errors import (
    AutoCalibrationError,
    EnvironmentUnsuitableError,
    PluginError,
    QuantizationError,
)
from amct_core.extensions import (
    DeployBackend,
    FallbackStrategy,
    LayerType,
    Quantization,
    Sensitivity,
)
from amct_core.graph import Graph, Node
from amct_core.numerics import affine
from amct_core.plugins import Registries
from amct_core.ptq.auto_calibration.ranking import rank
from amct_core.ptq.auto_calibration.search import Verdict, search
from amct_core.ptq.observing import observer_for
from amct_core.record import LayerRecord, Record
from tests import mistakes

BATCH = np.ones((2, 3), np.float32)
DEQ_SCALE = np.ones(4, np.float32)

Register = Callable[..., Registries]


def calibrate(calibrator: Any) -> None:
    observer = observer_for(calibrator, {"with_offset": True}, "conv, ip")
    observer.observe(BATCH)
    observer.result()


def run_search(search: Any) -> None:
    run = CheckedSearch.start(search, DEQ_SCALE, False, "conv")
    run.observe(BATCH)
    run.result()


@pytest.mark.parametrize("name", mistakes.CALIBRATORS)
def test_a_mistake_of_a_calibrator_is_one_message(registered: Register, name: str) -> None:
    mistake = mistakes.CALIBRATORS[name]
    found = registered("amct_calibrators", mistake.extension).calibrators.get(mistakes.NAME)
    with pytest.raises(PluginError) as caught:
        calibrate(found)
    mistakes.message(caught.value, "calibrator", "conv, ip", mistake.said)


@pytest.mark.parametrize(("offset", "fits"), [(0, True), (3, False)])
def test_an_offset_is_0_where_there_is_to_be_none(
    registered: Register, offset: int, fits: bool
) -> None:
    extension = mistakes.calibrator((np.float32(1), offset))
    found = registered("amct_calibrators", extension).calibrators.get(mistakes.NAME)
    observer = observer_for(found, {"with_offset": False}, "conv")
    observer.observe(BATCH)
    if fits:
        assert observer.result() == (1, 0)
        return
    with pytest.raises(PluginError) as caught:
        observer.result()
    mistakes.message(caught.value, "calibrator", "conv", ("offset_d 3", "expected 0"))


@pytest.mark.parametrize("name", mistakes.SHIFTS)
def test_a_mistake_of_a_search_is_one_message(registered: Register, name: str) -> None:
    mistake = mistakes.SHIFTS[name]
    found = registered("amct_shift_searches", mistake.extension).shift_searches.get(mistakes.NAME)
    with pytest.raises(PluginError) as caught:
        run_search(found)
    mistakes.message(caught.value, "shift-N search", "conv", mistake.said)


@pytest.mark.parametrize("shifts", [[1, 2, 15, 16], [0, 0, 0, 0], np.full(4, 3, np.int64)])
def test_n_in_1_to_16_or_all_0_is_taken(shifts: Any) -> None:
    search = CheckedSearch.start(mistakes.search(lambda count: shifts), DEQ_SCALE, False, "conv")
    found = search.result()
    assert found.dtype == np.uint8
    assert found.tolist() == list(shifts)


SCORES: Dict[str, Any] = {
    "text": (lambda *outputs: "good", AutoCalibrationError, "compare returned 'good'; expected a"),
    "NaN": (lambda *outputs: np.nan, AutoCalibrationError, "compare returned nan; expected a"),
    "an exception": (mistakes._fails, PluginError, "compare failed with ZeroDivisionError: of the"),
    "an error of ours": (
        lambda *outputs: affine.quantize(BATCH, 1.0, 300),
        QuantizationError,
        "the offset is 300",
    ),
}


@pytest.mark.parametrize("name", SCORES)
def test_a_mistake_of_a_sensitivity_is_one_message(registered: Register, name: str) -> None:
    compare, error, said = SCORES[name]
    given = Sensitivity(name=mistakes.NAME, compare=compare)
    found = registered("amct_sensitivities", given).sensitivities.get(mistakes.NAME)
    kind = LayerType("Twice", quantization=Quantization(), run=lambda node, inputs: inputs)
    graph = Graph("net", [Node("a", "Input", (), ("a",)), Node("conv", kind, ("a",), ("b",))])
    group = types.SimpleNamespace(name="conv", layers=("conv",))
    plan: Any = types.SimpleNamespace(graph=graph, groups=[group], fake_quantized=lambda: graph)
    record = Record({"conv": LayerRecord(scale_d=1.0, offset_d=0)})
    with pytest.raises(error) as caught:
        rank(plan, record, lambda group: [BATCH], found)
    mistakes.message(caught.value, "sensitivity", "conv", (said,))


@pytest.mark.parametrize("known", [True, False])
def test_what_a_strategy_must_not_propose_is_told_with_its_names(
    registered: Register, known: bool
) -> None:
    proposal = frozenset({"conv" if known else "other"})
    again = types.SimpleNamespace(propose=lambda: proposal, judge=lambda satisfied, loss: None)
    strategy = FallbackStrategy(name=mistakes.NAME, start=lambda ranking: again)
    found = registered("amct_fallback_strategies", strategy).fallback_strategies
    started = CheckedFallback.start(found.get(mistakes.NAME), [("conv", 0.5), ("ip", 0.75)])
    with pytest.raises(AutoCalibrationError) as caught:
        search(started, ["conv", "ip"], lambda rolled_back: Verdict(False, 1.0))
    said = "roll back ['conv'] a second time" if known else "roll back ['other']; expected layers"
    mistakes.message(caught.value, "fallback strategy", None, (said,))


def test_the_metric_of_a_candidate_is_no_fault_of_the_strategy(registered: Register) -> None:
    once = types.SimpleNamespace(propose=lambda: frozenset({"conv"}))
    strategy = FallbackStrategy(name=mistakes.NAME, start=lambda ranking: once)
    found = registered("amct_fallback_strategies", strategy).fallback_strategies
    started = CheckedFallback.start(found.get(mistakes.NAME), [("conv", 0.5), ("ip", 0.75)])
    with pytest.raises(ZeroDivisionError, match=r"^of the plugin$"):
        search(started, ["conv", "ip"], mistakes._fails)


PROPOSALS: Dict[str, Any] = {
    "a list": (lambda: ["conv"], "propose returned ['conv']; expected a frozenset of layers"),
    "an exception": (mistakes._fails, "propose failed with ZeroDivisionError: of the plugin."),
}


@pytest.mark.parametrize("name", PROPOSALS)
def test_a_mistake_of_a_strategy_is_one_message(registered: Register, name: str) -> None:
    propose, said = PROPOSALS[name]
    strategy = FallbackStrategy(
        name=mistakes.NAME, start=lambda ranking: types.SimpleNamespace(propose=propose)
    )
    found = registered("amct_fallback_strategies", strategy).fallback_strategies
    search = CheckedFallback.start(found.get(mistakes.NAME), [("conv", 0.5)])
    with pytest.raises(PluginError) as caught:
        search.propose()
    mistakes.message(caught.value, "fallback strategy", None, (said,))


def test_prepare_that_fails_is_named(registered: Register) -> None:
    mistake = mistakes.FORWARD["an exception in prepare"]
    found = registered("amct_activation_algorithms", mistake.extension).activation_algorithms
    with pytest.raises(PluginError) as caught:
        prepare(found.get(mistakes.NAME), "conv")
    mistakes.message(caught.value, "activation algorithm", "conv", mistake.said)


def backend(registered: Register) -> DeployBackend:
    given = DeployBackend(name=mistakes.NAME, description="", write=mistakes._fails)
    return registered("amct_deploy_backends", given).deploy_backends.get(mistakes.NAME)


def test_a_backend_that_fails_is_named(registered: Register) -> None:
    with pytest.raises(PluginError) as caught, Usage(backend(registered)).running("write"):
        mistakes._fails()
    said = ("write failed with ZeroDivisionError: of the plugin.", "use another deploy backend")
    mistakes.message(caught.value, "deploy backend", None, said)


def test_what_a_backend_says_itself_stays_as_it_is(registered: Register) -> None:
    said = "ATC is not installed."
    with (
        pytest.raises(EnvironmentUnsuitableError) as caught,
        Usage(backend(registered)).running("write", tells_itself=True),
    ):
        raise EnvironmentUnsuitableError(said)
    assert str(caught.value) == said


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_a_full_memory_and_a_stop_are_nobodys_fault(
    registered: Register, error: type[BaseException]
) -> None:
    with pytest.raises(error), Usage(backend(registered)).running("write"):
        raise error


def test_every_kind_knows_its_plugin(registered: Register) -> None:
    found = registered("amct_shift_searches", mistakes.search(lambda count: None))
    assert found.shift_searches.get(mistakes.NAME).provider == "mine"
    assert found.shift_searches.get("search_n").provider == "amct-core"
    for kind in (found.activation_algorithms, found.calibrators, found.sensitivities):
        assert {each.provider for each in kind} == {"amct-core"}


@pytest.mark.parametrize(
    ("extension", "remedy"),
    [
        (LayerType("Gain", provider="mine"), "Uninstall the plugin, or tell its author."),
        (LayerType("Gain", provider="caffe"), "Tell the author of the plugin."),
        (
            mistakes.activation(),
            "Tell the author of the plugin, or use another activation algorithm.",
        ),
    ],
)
def test_another_one_is_advised_only_where_the_user_chooses(extension: Any, remedy: str) -> None:
    assert Usage(extension).error("no.").remedy == remedy
