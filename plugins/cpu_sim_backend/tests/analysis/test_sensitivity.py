"""What each layer alone costs, against running each network whole."""

from __future__ import annotations

from typing import Dict, Iterator, List

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amct_core.errors import ConfigError, ModelError
from amct_core.graph import Graph
from amct_core.quantized_graph import quantized_graph
from amct_core.quantized_model import QuantizedModel
from cpu_sim_backend import Simulator
from cpu_sim_backend.analysis.sensitivity import (
    SensitivityNetworks,
    measure_sensitivity,
    sampled,
    samples_for,
)

from .small_network import (
    LAYERS,
    LOGITS,
    Array,
    float_network,
    folded,
    graph_of,
    images,
    quantized,
    subset,
)


def split(data: Array, size: int) -> List[Dict[str, Array]]:
    return [{"data": data[at : at + size]} for at in range(0, len(data), size)]


def brute_force(
    model: QuantizedModel, in_int8: Dict[str, List[str]], batches: List[Dict[str, Array]]
) -> Dict[str, float]:
    """Return the error of whole networks, by what is written before the layers that are in int8."""
    reference = [logits(quantized_graph(subset(model, [])), batch) for batch in batches]
    found = {}
    for name, layers in in_int8.items():
        graph = quantized_graph(subset(model, layers))
        total = sum(
            float(np.square(logits(graph, batch).astype(np.float64) - expected).sum())
            for batch, expected in zip(batches, reference)
        )
        found[name] = total / sum(each.size for each in reference)
    return found


def logits(graph: Graph, batch: Dict[str, Array]) -> Array:
    return Simulator.from_graph(graph).run_values(batch, [LOGITS])[LOGITS]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), size=st.integers(1, 6), engine=st.sampled_from(["auto"]))
def test_errors_are_to_the_last_bit_those_of_whole_networks(
    seed: int, size: int, engine: str
) -> None:
    graph, data = float_network(seed), images(6, seed)
    model = quantized(folded(graph), data)
    batches = split(data, size)
    found = measure_sensitivity(graph, quantized_graph(model), batches, engine=engine)
    alone = brute_force(model, {name: [name] for name in LAYERS}, batches)
    others = {name: [each for each in LAYERS if each != name] for name in LAYERS}
    assert found.samples == 6
    assert list(found.layers) == list(LAYERS)
    assert {name: each.quantized_alone for name, each in found.layers.items()} == alone
    assert {name: each.float_alone for name, each in found.layers.items()} == brute_force(
        model, others, batches
    )


def test_both_engines_find_the_same() -> None:
    graph, data = float_network(3), images(4, 3)
    deployed = quantized_graph(quantized(folded(graph), data))
    assert measure_sensitivity(graph, deployed, split(data, 2), engine="reference") == (
        measure_sensitivity(graph, deployed, split(data, 2), engine="auto")
    )


@pytest.mark.parametrize("name", LAYERS)
def test_with_one_quantized_layer_alone_it_is_the_whole_error_and_without_it_none(
    name: str,
) -> None:
    graph, data = float_network(1), images(5, 1)
    model = quantized(folded(graph), data, [name])
    found = measure_sensitivity(graph, quantized_graph(model), split(data, 5))
    (only,) = found.layers.values()
    whole = brute_force(model, {"all": [name]}, split(data, 5))["all"]
    assert only.quantized_alone == whole > 0
    assert only.float_alone == 0
    assert found.all_quantized == only.quantized_alone


def test_a_layer_that_int8_represents_exactly_costs_nothing() -> None:
    """Integers up to 100 as inputs, weights of at most 127 steps of 1/8, a scale of 1."""
    text = """
    layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 6 } } }
    layer { name: "exact" type: "InnerProduct" bottom: "data" top: "exact"
      inner_product_param { num_output: 4 } }
    layer { name: "rounded" type: "InnerProduct" bottom: "exact" top: "rounded"
      inner_product_param { num_output: 3 } }
    """
    generator = np.random.default_rng(5)
    steps = generator.integers(-126, 127, (4, 6))
    steps[0, 0] = 127
    blobs = {
        "exact": [(steps / 8).astype(np.float32), np.arange(4, dtype=np.float32) / 8],
        "rounded": [
            generator.normal(size=(3, 4)).astype(np.float32),
            np.zeros(3, np.float32),
        ],
    }
    graph = graph_of(text, blobs)
    data = generator.integers(-100, 101, (8, 6)).astype(np.float32)
    data[0, :2] = -128, 127  # a range of 255 steps
    found = measure_sensitivity(
        graph, quantized_graph(quantized(graph, data, ["exact", "rounded"])), split(data, 8)
    ).layers
    assert found["exact"].quantized_alone == 0
    assert found["rounded"].quantized_alone > 0
    assert found["rounded"].float_alone == 0


@pytest.mark.parametrize("bad", LAYERS)
def test_a_layer_that_clips_nearly_everything_is_ranked_first(bad: str) -> None:
    graph, data = float_network(2), images(16, 2)
    model = quantized(folded(graph), data, factors={bad: 0.05})
    found = measure_sensitivity(graph, quantized_graph(model), split(data, 8))
    assert found.ranking()[0] == bad
    assert min(found.layers, key=lambda name: found.layers[name].float_alone) == bad


def test_the_softmax_is_left_out_of_the_comparison() -> None:
    graph, data = float_network(4), images(3, 4)
    networks = SensitivityNetworks.of(graph, quantized_graph(quantized(folded(graph), data)))
    assert networks.float_alone.values == (LOGITS,)
    assert [value.name for value in networks.quantized_alone.values] == ["ip"]


def test_activations_are_dropped_when_no_further_layer_reads_them() -> None:
    graph, data = float_network(4), images(3, 4)
    networks = SensitivityNetworks.of(graph, quantized_graph(quantized(folded(graph), data)))
    for network in (networks.quantized_alone, networks.float_alone):
        kept = network.unchanged({"data": data})
        sizes = [len(kept) for _ in network.each(kept)]
        assert sizes == sorted(sizes, reverse=True)
        assert set(kept) == set(network.values)


def test_it_tells_how_far_it_is() -> None:
    graph, data = float_network(4), images(5, 4)
    deployed = quantized_graph(quantized(folded(graph), data))
    told = []

    def progress(steps: Iterator[int], total: int) -> Iterator[int]:
        told.append(total)
        for step in steps:
            told.append(step)
            yield step

    measure_sensitivity(graph, deployed, split(data, 2), samples=5, progress=progress)
    assert told[0] == 2 * 5 * len(LAYERS) == sum(told[1:])


def test_no_samples_are_an_error() -> None:
    graph, data = float_network(4), images(5, 4)
    deployed = quantized_graph(quantized(folded(graph), data))
    with pytest.raises(ConfigError, match="no samples"):
        measure_sensitivity(graph, deployed, [])


def test_a_missing_input_is_an_error() -> None:
    graph, data = float_network(4), images(5, 4)
    deployed = quantized_graph(quantized(folded(graph), data))
    with pytest.raises(ModelError, match="data"):
        measure_sensitivity(graph, deployed, [{"other": data}])


@given(
    sizes=st.lists(st.integers(1, 9), max_size=6),
    samples=st.integers(1, 30),
    divisible=st.booleans(),
)
def test_the_first_samples_are_used_and_batches_divided_if_they_can_be(
    sizes: List[int], samples: int, divisible: bool
) -> None:
    rows = np.arange(sum(sizes))
    ends = np.cumsum(sizes)
    given_batches = [{"data": rows[end - size : end]} for end, size in zip(ends, sizes)]
    found = list(sampled(given_batches, samples, divisible))
    everything = [batch["data"] for batch, _ in found]
    taken = [batch["data"] for batch, is_in in found if is_in]
    np.testing.assert_array_equal(np.concatenate([*everything, rows[:0]]), rows)
    count = sum(map(len, taken))
    np.testing.assert_array_equal(np.concatenate([*taken, rows[:0]]), rows[:count])
    if divisible:
        assert count == min(samples, len(rows))
    else:
        whole = [end for end in ends if end >= samples]
        assert count == (whole[0] if whole else len(rows))


def test_a_batch_with_arrays_of_different_lengths_is_not_divided() -> None:
    batch = {"frames": np.zeros((6, 2)), "cont": np.zeros((3, 2))}
    found = list(sampled([batch, batch], 4, True))
    assert [(each is batch, is_in) for each, is_in in found] == [(True, True), (True, False)]


def test_a_layer_that_clips_on_few_samples_is_found_by_its_own_error_on_the_others() -> None:
    """The rare samples are a hundred times as large; no such one is among the first 16."""
    graph, usual, rare = float_network(6), images(60, 6), images(4, 7) * 100
    model = quantized(folded(graph), usual)
    deployed, data = quantized_graph(model), np.concatenate([usual, rare])
    few = measure_sensitivity(graph, deployed, split(usual, 16), samples=16)
    found = measure_sensitivity(graph, deployed, split(data, 16), samples=16)
    everything = measure_sensitivity(graph, deployed, split(data, 16), samples=64)
    assert (found.samples, found.scaled_to) == (16, 64)
    for name in LAYERS:
        true = everything.layers[name].quantized_alone
        assert true > 100 * few.layers[name].quantized_alone
        assert 0.2 * true < found.layers[name].quantized_alone < 5 * true
    assert {n: x.float_alone for n, x in found.layers.items()} == {
        n: x.float_alone for n, x in few.layers.items()
    }


def test_where_the_sample_is_all_data_nothing_is_scaled() -> None:
    graph, data = float_network(6), images(12, 6)
    deployed = quantized_graph(quantized(folded(graph), data))
    assert measure_sensitivity(graph, deployed, split(data, 4), samples=12) == (
        measure_sensitivity(graph, deployed, split(data, 4), samples=100)
    )


@pytest.mark.parametrize(
    ("total", "samples"), [(10, 112), (400, 112), (3200, 200), (5000, 256), (50_000, 256)]
)
def test_a_sixteenth_of_the_data_is_the_sample_within_bounds(total: int, samples: int) -> None:
    assert samples_for(total) == samples
