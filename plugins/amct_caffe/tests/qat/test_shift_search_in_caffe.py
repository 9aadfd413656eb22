"""In TEST passes of real Caffe, shift factor N is searched and recorded; saving asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest
from numpy.typing import NDArray

import amct_caffe
from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.passes.python_layers import is_python_layer
from amct_caffe.training.workflow import check_training
from amct_core.errors import AmctError, TrainingError
from amct_core.numerics import shift_search
from plugins.amct_caffe.tests.qat import nets
from plugins.amct_caffe.tests.qat.bench import Bench, Modified
from plugins.amct_caffe.tests.qat.reference import Grid, round_half_away

pytestmark = pytest.mark.caffe

BATCH, BATCH_NUM, MAX_ITER = 2, 3, 6
RUN = {
    "max_iter": MAX_ITER,
    "snapshot": MAX_ITER,
    "test_interval": MAX_ITER,
    "test_iter": BATCH_NUM,
    "base_lr": 0.0001,
}
LAYERS = ["conv", "global", "ip"]
"""One scale per channel; one value per channel and image; one scale for all."""


def dense_to_sparse(outputs: int, *shape: int) -> NDArray[np.float64]:
    """Return weights of 0.02 and 0, mostly 0.02 in the first channel and almost all 0 in the last.

    So accumulators differ in size by orders of magnitude, and N does from channel to channel.
    """
    random = np.random.default_rng(21)
    limits = np.geomspace(1, 0.02, outputs).reshape(-1, *[1] * len(shape))
    weights = (random.uniform(0, 1, (outputs, *shape)) < limits) * 1.0
    weights.reshape(outputs, -1)[:, 0] = 1  # none is all 0
    return 0.02 * weights


def network(bench: Bench, **config: Any) -> Modified:
    """Return a network with the three kinds of search, and TEST batches of different size."""
    random = np.random.default_rng(22)
    files = []
    for name, factors in (("training", [1.0]), ("testing", [0.5, 1.0, 0.25])):
        count = len(factors) * BATCH
        data = random.uniform(-0.25, 1, (count, 16, 5, 5))
        data *= np.repeat(factors, BATCH).reshape(-1, 1, 1, 1)
        files.append(bench.data(name, data=data, label=random.normal(0, 1, (count, 4))))
    return bench.modify(
        nets.batches(files[0], ["data", "label"], BATCH, "TRAIN", "training"),
        nets.batches(files[1], ["data", "label"], BATCH, "TEST", "testing"),
        nets.convolution("conv", "data", 8, 3),
        nets.relu("relu", "conv"),
        nets.convolution("global", "conv", 6, 3),
        nets.inner_product("ip", "global", 4),
        nets.euclidean_loss("ip"),
        blobs={
            "conv": [dense_to_sparse(8, 16, 3, 3)],
            "global": [dense_to_sparse(6, 8, 3, 3)],
            "ip": [dense_to_sparse(4, 6)],
        },
        batch_num=BATCH_NUM,
        **config,
    )


def accumulators(net: Any, layer: str) -> NDArray[np.int64]:
    """Return the int32 accumulators, bias included, that ``layer`` has in ``net`` now.

    Computed in integers, from its quantized input and weights alone; (batch, channels, ...).
    """
    clip_max, clip_min, _ = (blob.data for blob in net.params[f"{layer}_activation_qat"])
    scale_d = Grid(float(clip_max[0]), float(clip_min[0])).step
    q = np.rint(net.blobs[f"{layer}_activation_qat"].data / scale_d)
    scale_w = np.array(net.params[f"{layer}_weight_qat"][2].data, np.float64)
    weights, bias = (np.array(blob.data) for blob in net.params[layer])
    w = np.rint(weights / scale_w.reshape(-1, *[1] * (weights.ndim - 1)))
    b = round_half_away(bias / (scale_d * scale_w))
    if weights.ndim == 2:
        return np.asarray(q.reshape(len(q), -1) @ w.T + b, np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(q, w.shape[2:], axis=(2, 3))
    return np.asarray(np.einsum("bchwij,ocij->bohw", windows, w) + b[:, None, None], np.int64)


def found_by_numpy(strategy: str, layer: str, s32: NDArray[np.int64]) -> List[int]:
    """Return N for the accumulators of all batches."""
    searches = {
        "search_n": shift_search.TruncatingShiftSearch,
        "search_n_v2": shift_search.FlooringShiftSearch,
    }
    scales = np.ones(1 if layer == "ip" else s32.shape[1])  # s32 is in units of deq_scale
    search = searches[strategy](scales, layer == "global")
    search.observe(s32.astype(np.float32))
    return [int(n) for n in search.result()]


def shifts(modified: Modified) -> Dict[str, List[int]]:
    """Return N by layer, as the record has it."""
    return {name: list(entry.shift_bit) for name, entry in modified.record().layers.items()}


@pytest.mark.parametrize("strategy", ["search_n_v2", "search_n"])
def test_n_in_the_record_is_what_numpy_finds_on_the_accumulators_of_the_same_batches(
    bench: Bench, strategy: str
) -> None:
    modified = network(bench, shift_n_algo=strategy)
    modified.solver(**RUN).solve()
    recorded = shifts(modified)

    net = modified.net(modified.snapshot(MAX_ITER), modified.caffe.TEST)
    seen: Dict[str, List[NDArray[np.int64]]] = {name: [] for name in LAYERS}
    for _ in range(BATCH_NUM):
        net.forward()
        for name in LAYERS:
            seen[name].append(accumulators(net, name))
    expected = {
        name: found_by_numpy(strategy, name, np.concatenate(batches))
        for name, batches in seen.items()
    }
    assert recorded == expected
    assert len(set(expected["conv"])) > 2, "these accumulators ask for too few different N"
    for batch in (seen["conv"][0], seen["conv"][-1]):
        assert found_by_numpy(strategy, "conv", batch) != expected["conv"]


@pytest.mark.parametrize(("strategy", "expected"), [("search_n", 2), ("search_n_v2", 1)])
def test_strategies_round_negative_accumulators_differently(
    bench: Bench, strategy: str, expected: int
) -> None:
    """The accumulators are 65540 once and -5 six times.

    N = 1 saturates the first, an error of 6**2, and costs 1 for each other.  N = 2 represents the
    first; -5 becomes -4 if truncated, which costs 1, but -8 if floored, which costs 9.
    """
    once, often = [127, 127, 127, 127, 8, 8], [0, 0, 0, 0, 0, -5]
    samples, weights = [once, *[often] * 6], [[127, 127, 127, 127, 127, 1]]
    assert [int(n) for n in np.dot(samples, weights[0])] == [65540, *[-5] * 6]
    file = bench.data(data=np.array(samples), label=np.zeros((7, 1)))
    modified = bench.modify(
        nets.batches(file, ["data", "label"], 7),
        nets.inner_product("ip", "data", 1),
        nets.euclidean_loss("ip"),
        blobs={"ip": [np.array(weights), np.zeros(1)]},
        data_config={"clip_max": 127, "clip_min": -128},
        shift_n_algo=strategy,
    )
    modified.solver(max_iter=1, test_interval=1, base_lr=0.0).solve()
    assert modified.record().get("ip").scale_d == 1
    assert shifts(modified) == {"ip": [expected]}


def test_the_last_of_several_test_passes_counts(bench: Bench) -> None:
    modified = network(bench)
    modified.solver(**RUN).solve()
    expected = Path(modified.record_file).read_text()

    solver = modified.solver(**{**RUN, "test_interval": MAX_ITER // 2})
    solver.step(MAX_ITER)
    assert all(shifts(modified).values())
    assert Path(modified.record_file).read_text() != expected
    solver.solve()
    assert Path(modified.record_file).read_text() == expected


def test_train_net_and_test_net_do_as_well_as_net(bench: Bench) -> None:
    modified = network(bench)
    without_factors = Path(modified.record_file).read_text()
    modified.solver(**RUN).solve()
    expected = Path(modified.record_file).read_text()

    Path(modified.record_file).write_text(without_factors)
    file = modified.folder / "two_nets.prototxt"
    two_nets = {"train_net": modified.model, "test_net": modified.model}
    file.write_text(nets.solver(None, str(modified.folder / "two_nets"), **RUN, **two_nets))
    solver = bench.caffe.get_solver(str(file))
    solver.net.copy_from(modified.weights)
    solver.solve()
    assert Path(modified.record_file).read_text() == expected


def python_layers(model: str, kind: str) -> List[str]:
    """Return the names of our layers of one kind in a model."""
    layers = documents.read(model).layers
    return [layer.name for layer in layers if is_python_layer(layer, kind)]


def test_strategy_none_inserts_no_search_and_saves_without_n(bench: Bench) -> None:
    modified = network(bench, shift_n_algo="none")
    assert python_layers(modified.model, "WeightQAT") != []
    assert python_layers(modified.model, "ShiftSearch") == []

    modified.solver(**{**RUN, "test_interval": None, "test_iter": None}).solve()
    model, weights = modified.save(modified.snapshot(MAX_ITER))
    assert shifts(modified) == {name: [] for name in LAYERS}
    saved = bench.caffe.Net(model, bench.caffe.TEST, weights=weights)
    saved_shifts = [saved.params[name][1].data for name in python_layers(model, "DeQuant")]
    assert len(saved_shifts) == len(LAYERS)
    assert not any(shift_n.any() for shift_n in saved_shifts)


@pytest.mark.parametrize("strategy", ["search_n_v2", "search_n", "none"])
def test_a_network_of_poolings_needs_no_test_pass_in_any_step(bench: Bench, strategy: str) -> None:
    random = np.random.default_rng(23)
    file = bench.data(data=random.normal(0, 1, (BATCH, 3, 6, 6)), label=np.zeros((BATCH, 2)))
    modified = bench.modify(
        nets.batches(file, ["data", "label"], BATCH),
        nets.pooling("pool", "data", "AVE", 2, 2),
        nets.inner_product("ip", "pool", 2),
        nets.euclidean_loss("ip"),
        enable=["pool"],
        shift_n_algo=strategy,
    )
    fields = {**RUN, "test_interval": None, "test_iter": None}
    solver = modified.solver(**fields)
    solver_file = str(modified.folder / "solver.prototxt")
    amct_caffe.check_solver(solver_file, modified.config, modified.model)
    check_training(solver_file, modified.weights, None)
    solver.step(MAX_ITER)
    modified.save(modified.snapshot(MAX_ITER), "Both")
    assert shifts(modified) == {"pool": []}


def trained_by_step(bench: Bench) -> Tuple[Modified, Any]:
    """Return a network and its solver after ``solver.step(max_iter)``, without a TEST pass."""
    modified = network(bench)
    solver = modified.solver(**RUN)
    solver.step(MAX_ITER)
    return modified, solver


def test_saving_without_a_test_pass_names_the_layer_the_reason_and_both_remedies(
    bench: Bench,
) -> None:
    modified, _ = trained_by_step(bench)
    before = Path(modified.record_file).read_text()
    with pytest.raises(AmctError) as caught:
        modified.save(modified.snapshot(MAX_ITER), "Both")
    assert isinstance(caught.value, TrainingError)
    assert caught.value.layer == "conv"
    for part in (
        modified.record_file,
        "layer 'conv'",
        "solver.step(max_iter) does not run the last test",
        "solver.solve()",
        "solver.test_nets[0].share_with(solver.net)",
        "batch_num times solver.test_nets[0].forward()",
    ):
        assert part in str(caught.value)
    assert list(modified.folder.glob("saved*")) == []
    assert Path(modified.record_file).read_text() == before


def test_both_remedies_work_and_lead_to_the_same_files(bench: Bench) -> None:
    def solve(solver: Any) -> None:
        solver.solve()

    def share_and_forward(solver: Any) -> None:
        solver.test_nets[0].share_with(solver.net)
        for _ in range(BATCH_NUM):
            solver.test_nets[0].forward()

    results = []
    for remedy in (solve, share_and_forward):
        modified, solver = trained_by_step(bench)
        remedy(solver)
        saved = modified.save(modified.snapshot(MAX_ITER), "Both")
        assert all(shifts(modified).values())
        files = [*saved, modified.record_file]
        results.append([Path(file).read_bytes() for file in files])
    assert results[0] == results[1]


def test_fewer_forwards_than_batch_num_find_no_n(bench: Bench) -> None:
    modified, solver = trained_by_step(bench)
    solver.test_nets[0].share_with(solver.net)
    for _ in range(BATCH_NUM - 1):
        solver.test_nets[0].forward()
    assert not any(shifts(modified).values())
    with pytest.raises(TrainingError, match="at least batch_num forwards"):
        modified.save(modified.snapshot(MAX_ITER))
