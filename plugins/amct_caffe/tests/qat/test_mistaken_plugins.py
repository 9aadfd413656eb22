"""Plugins that break their contracts, in real Caffe: one message each, and nothing is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import numpy as np
import pytest

from amct_core import workflow
from amct_core.errors import PluginError
from amct_core.extensions import DeployBackend
from plugins.amct_caffe.tests.qat import nets
from plugins.amct_caffe.tests.qat.bench import Bench, Modified
from tests import mistakes

pytestmark = pytest.mark.caffe

BATCH_NUM = 2
RUN = {"max_iter": 6, "snapshot": 6, "test_interval": 6, "test_iter": BATCH_NUM}

Install = Callable[..., Any]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that installs a plugin."""
    yield from mistakes.installed(monkeypatch)


def network(bench: Bench, data: Dict[str, Any], **config: Any) -> Modified:
    """Insert fake quantization into a small network; ``data``: of its retrain_data_config."""
    random = np.random.default_rng(31)
    file = bench.data(data=random.normal(0, 1, (6, 3, 8, 8)), label=random.normal(0, 1, (6, 4)))
    return bench.modify(
        nets.batches(file, ["data", "label"], 2),
        nets.convolution("conv", "data", 5, 3),
        nets.relu("relu", "conv"),
        nets.inner_product("ip", "conv", 4),
        nets.euclidean_loss("ip"),
        data_config=data,
        batch_num=BATCH_NUM,
        **config,
    )


def contents(folder: Path) -> Dict[str, bytes]:
    """Return what is in a folder, the solver's file left out, which a test writes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.name: path.read_bytes() for path in files if path.name != "solver.prototxt"}


def refused(
    bench: Bench, run: Callable[[], Any], kind: str, mistake: mistakes.Mistake, layer: str = "conv"
) -> None:
    """Check that ``run`` raises one error with all names, and that nothing is saved."""
    before = contents(bench.folder)
    with pytest.raises(PluginError) as caught:
        run()
    mistakes.message(caught.value, kind, layer, mistake.said)
    assert contents(bench.folder) == before


@pytest.mark.parametrize("name", [*mistakes.FORWARD, *mistakes.BACKWARD])
def test_a_mistake_of_an_activation_algorithm_ends_training_at_once(
    bench: Bench, install: Install, name: str
) -> None:
    mistake = {**mistakes.FORWARD, **mistakes.BACKWARD}[name]
    layer = "ip" if name in mistakes.BACKWARD else "conv"  # backward begins at the end
    install("amct_activation_algorithms", mistake.extension)
    modified = network(bench, {"algo": mistakes.NAME})

    def train() -> None:
        modified.solver(**RUN).step(6)

    refused(bench, train, "activation algorithm", mistake, layer)


def test_so_it_does_where_the_values_go_wrong_with_the_factors_that_are_recorded(
    bench: Bench, install: Install
) -> None:
    calls = []

    def forward(x: Any, *bounds: Any) -> Any:
        calls.append(1)
        y, scale, offset = mistakes.ulq.forward(x, *bounds)
        return (y + scale / 2 if len(calls) == 3 else y), scale, offset

    mistake = mistakes.Mistake(mistakes.activation(forward=forward), mistakes.THE_GRID)
    install("amct_activation_algorithms", mistake.extension)
    modified = network(bench, {"algo": mistakes.NAME})

    def train() -> None:
        modified.solver(**RUN).step(6)

    refused(bench, train, "activation algorithm", mistake)
    assert len(calls) == 2 * BATCH_NUM - 1


@pytest.mark.parametrize("iteration", [2, 5])
def test_a_gradient_that_becomes_nan_later_is_no_divergence(
    bench: Bench, install: Install, iteration: int
) -> None:
    from amct_caffe.runtime.training import run_solver

    calls = []

    def backward(x: Any, *arguments: Any) -> Any:
        bottom_diff, high, low = mistakes.ulq.backward(x, *arguments)
        calls.append(1)
        if len(calls) == 2 * iteration - 1:  # of two layers in each iteration, the last comes first
            bottom_diff.reshape(-1)[3] = np.nan
        return bottom_diff, high, low

    mistake = mistakes.Mistake(
        mistakes.activation(backward=backward),
        ("backward gave bottom_diff with nan, although x and top_diff are finite",),
    )
    install("amct_activation_algorithms", mistake.extension)
    modified = network(bench, {"algo": mistakes.NAME})
    modified.solver(**RUN)  # writes its file
    with pytest.raises(PluginError) as caught:
        run_solver(str(bench.folder / "solver.prototxt"), modified.weights)
    text = mistakes.message(caught.value, "activation algorithm", "ip", mistake.said)
    assert f"This was at iteration {iteration - 1}." in text  # Caffe counts from 0


@pytest.mark.parametrize("name", mistakes.CALIBRATORS)
def test_a_mistake_of_a_calibrator_ends_training_at_once(
    bench: Bench, install: Install, name: str
) -> None:
    mistake = mistakes.CALIBRATORS[name]
    install("amct_calibrators", mistake.extension)
    modified = network(bench, {"init_algo": mistakes.NAME})

    def train() -> None:
        modified.solver(**RUN).step(6)

    refused(bench, train, "calibrator", mistake)


@pytest.mark.parametrize("name", mistakes.WEIGHTS)
def test_a_mistake_of_a_weight_algorithm_ends_insertion(
    bench: Bench, install: Install, name: str
) -> None:
    mistake = mistakes.WEIGHTS[name]
    install("amct_weight_algorithms", mistake.extension)
    with pytest.raises(PluginError) as caught:
        _ = with_weight_algorithm(bench)
    mistakes.message(caught.value, "weight algorithm", "conv", mistake.said)
    assert not [path for path in contents(bench.folder) if "modified" in path or "record" in path]


def with_weight_algorithm(bench: Bench) -> Modified:
    random = np.random.default_rng(31)
    file = bench.data(data=random.normal(0, 1, (6, 3, 8, 8)), label=random.normal(0, 1, (6, 4)))
    return bench.modify(
        nets.batches(file, ["data", "label"], 2),
        nets.convolution("conv", "data", 5, 3),
        nets.inner_product("ip", "conv", 4),
        nets.euclidean_loss("ip"),
        weight_config={"algo": mistakes.NAME},
        batch_num=BATCH_NUM,
    )


@pytest.mark.parametrize("name", mistakes.LEARNED)
def test_a_mistake_in_what_is_learned_ends_training_at_once(
    bench: Bench, install: Install, name: str
) -> None:
    mistake = mistakes.LEARNED[name]
    layer = "ip" if "backward" in mistake.said[0] else "conv"
    install("amct_activation_algorithms", mistake.extension)
    modified = network(bench, {"algo": mistakes.NAME})

    def train() -> None:
        modified.solver(**RUN).step(6)

    if name == "an exception in observe":  # which begins after initialisation; then it is recorded
        with pytest.raises(PluginError) as caught:
            train()
        mistakes.message(caught.value, "activation algorithm", layer, mistake.said)
        return
    refused(bench, train, "activation algorithm", mistake, layer)


@pytest.mark.parametrize("name", mistakes.LEARNED_SCALES)
def test_a_mistake_in_the_gradients_of_learned_scales_ends_training(
    bench: Bench, install: Install, name: str
) -> None:
    mistake = mistakes.LEARNED_SCALES[name]
    install("amct_weight_algorithms", mistake.extension)
    modified = with_weight_algorithm(bench)

    def train() -> None:
        modified.solver(**RUN).step(6)

    refused(bench, train, "weight algorithm", mistake, "ip")


@pytest.mark.parametrize("name", mistakes.IN_PLACE)
def test_a_mistake_of_what_quantizes_weights_in_place_ends_training(
    bench: Bench, install: Install, name: str
) -> None:
    mistake = mistakes.IN_PLACE[name]
    install("amct_weight_algorithms", mistake.extension)
    modified = with_weight_algorithm(bench)

    def train() -> None:
        modified.solver(**RUN).step(6)

    refused(bench, train, "weight algorithm", mistake)


@pytest.mark.parametrize("name", mistakes.SHIFTS)
def test_a_mistake_of_a_search_ends_the_test_pass(
    bench: Bench, install: Install, name: str
) -> None:
    mistake = mistakes.SHIFTS[name]
    install("amct_shift_searches", mistake.extension)
    modified = network(bench, {}, shift_n_algo=mistakes.NAME)
    solver = modified.solver(**RUN)
    solver.step(5)
    net = solver.test_nets[0]
    net.share_with(solver.net)

    def test() -> None:
        for _ in range(BATCH_NUM):
            net.forward()

    refused(bench, test, "shift-N search", mistake)
    assert modified.record().get("conv").shift_bit == ()


def trained(bench: Bench, data: Dict[str, Any]) -> Modified:
    modified = network(bench, data, shift_n_algo="none")
    modified.solver(**RUN).solve()
    return modified


@pytest.mark.parametrize(
    "name", ["forward off the grid", "another scale in factors", "an exception in factors"]
)
def test_a_mistake_of_an_activation_algorithm_ends_saving(
    bench: Bench, install: Install, name: str
) -> None:
    install("amct_activation_algorithms", mistakes.activation())
    modified = trained(bench, {"algo": mistakes.NAME})
    mistake = mistakes.FORWARD[name]
    install("amct_activation_algorithms", mistake.extension)
    snapshot = modified.snapshot(6)
    refused(bench, lambda: modified.save(snapshot, "Both"), "activation algorithm", mistake)


@pytest.mark.parametrize("name", ["a scale of 0", "300 for int8", "an exception in quantize"])
def test_a_mistake_of_a_weight_algorithm_ends_saving(
    bench: Bench, install: Install, name: str
) -> None:
    install("amct_weight_algorithms", mistakes.weight())
    modified = with_weight_algorithm(bench)
    modified.solver(**RUN).solve()
    mistake = mistakes.WEIGHTS[name]
    install("amct_weight_algorithms", mistake.extension)
    snapshot = modified.snapshot(6)
    refused(bench, lambda: modified.save(snapshot, "Both"), "weight algorithm", mistake)


def test_a_backend_that_fails_saves_nothing(bench: Bench, install: Install) -> None:
    def write(model: Any, save_path: str, files: Any) -> None:
        files.add(f"{save_path}_begun.txt", "begun")
        raise ZeroDivisionError("of the plugin")

    mistake = mistakes.Mistake(
        DeployBackend(name=mistakes.NAME, description="", write=write),
        ("write failed with ZeroDivisionError: of the plugin.",),
    )
    install("amct_deploy_backends", mistake.extension)
    modified = trained(bench, {})
    before = contents(bench.folder)
    with pytest.raises(PluginError) as caught:
        workflow.save(
            modified.model,
            modified.snapshot(6),
            str(bench.folder / "saved"),
            "Both",
            modified.record_file,
            modified.config,
            mistakes.NAME,
        )
    mistakes.message(caught.value, "deploy backend", None, mistake.said)
    assert contents(bench.folder) == before
