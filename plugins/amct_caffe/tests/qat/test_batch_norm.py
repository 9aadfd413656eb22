"""Layers with BatchNorm and Scale behind them: training, and folding when saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Sequence, Set, Tuple

import numpy as np
import pytest

from amct_caffe.model.formats.caffemodel import reader
from amct_caffe.runtime.capabilities.batch_norm import follows_the_batch
from cpu_sim_backend.verify import verify
from plugins.amct_caffe.tests.qat import nets
from plugins.amct_caffe.tests.qat.bench import Bench, Modified, blobs_of

pytestmark = pytest.mark.caffe

GAMMA = np.asarray([1.5, -0.75, 0.0, -2.0, 0.5], np.float32)
"""Of both signs and zero."""


def network(
    bench: Bench, kind: str = "Convolution", bias: bool = True, **config: Any
) -> Tuple[Modified, np.ndarray]:
    """Return a layer with BatchNorm and Scale whose every channel reaches -128, and its data."""
    random = np.random.default_rng(5)
    images = random.normal(0, 1, (8, 3, 6, 6)).astype(np.float32)
    weights = random.normal(0, 0.3, (5, 3, 3, 3)).astype(np.float32)
    weights[:, 0, 0, 0] = -2  # decides each channel's scale: the integer -128
    axes = (0, 1, 2, 3) if kind == "Convolution" else (1, 0, 2, 3)
    terms = "" if bias else "bias_term: false"
    body = (
        f"convolution_param {{ num_output: 5 kernel_size: 3 {terms} "
        'weight_filler { type: "gaussian" std: 0.4 } }'
    )
    biases = [random.normal(0, 1, 5)] if bias else []
    statistics = [random.normal(0, 3, 5), random.uniform(1, 9, 5), np.asarray([3.0])]
    size = 4 if kind == "Convolution" else 8
    file = bench.data(data=images, label=random.normal(0, 1, (8, 5, size, size)))
    modified = bench.modify(
        nets.batches(file, ["data", "label"], 4),
        nets.layer("layer", kind, ["data"], ["layer"], body),
        nets.layer("bn", "BatchNorm", ["layer"], ["layer"]),
        nets.layer("scale", "Scale", ["layer"], ["scaled"], "scale_param { bias_term: true }"),
        nets.relu("relu", "scaled"),
        nets.euclidean_loss("scaled"),
        blobs={
            "layer": [np.ascontiguousarray(weights.transpose(axes)), *biases],
            "bn": statistics,
            "scale": [GAMMA, random.normal(0, 1, 5)],
        },
        **config,
    )
    return modified, images


def rows(weights: np.ndarray, kind: str) -> np.ndarray:
    """Return one row per output channel."""
    return np.moveaxis(weights, 0 if kind == "Convolution" else 1, 0).reshape(5, -1)


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channel_wise", [True, False])
def test_the_saved_integers_are_those_that_were_trained_whatever_the_sign_of_gamma(
    bench: Bench, kind: str, bias: bool, channel_wise: bool
) -> None:
    modified, images = network(bench, kind, bias)
    if not channel_wise:
        modified = reinsert(bench, modified)
    solver = modified.solver(max_iter=3, test_interval=3, base_lr=1e-4)
    solver.solve()
    modified.save(modified.snapshot(3), "Both")

    trained = solver.test_nets[0]
    integers, scales = saved_weights(modified)
    multiplier = fold_multiplier(trained)
    expected = rows(trained.params["layer"][0].data, kind) * multiplier[:, np.newaxis]
    found = rows(integers, kind) * scales[:, np.newaxis]
    alive = GAMMA != 0
    np.testing.assert_allclose(found[alive], expected[alive], rtol=1e-6)
    assert not rows(integers, kind)[~alive].any()
    if channel_wise:
        assert (np.abs(rows(integers, kind)).max(axis=1)[alive] >= 127).all()
    assert verify(str(modified.folder / "saved"), {"data": images}).exact


def test_a_gamma_that_crosses_zero_in_training_turns_the_weights_around(bench: Bench) -> None:
    modified, _ = network(bench)
    net = modified.net()
    for gamma in (GAMMA, -GAMMA):
        net.params["scale"][0].data[...] = gamma
        net.forward()
        master = rows(net.params["layer_weight_qat"][0].data, "Convolution")
        quantized = rows(net.params["layer"][0].data, "Convolution")
        scales = net.params["layer_weight_qat"][2].data
        oriented = quantized / scales[:, np.newaxis] * np.where(gamma < 0, -1, 1)[:, np.newaxis]
        np.testing.assert_allclose(oriented, np.rint(oriented), atol=1e-4)
        assert oriented.min() >= -128.001
        assert oriented.max() <= 127.001
        np.testing.assert_allclose(quantized, master, atol=scales.max() * 1.01)


STATISTICS = {"bn[0]", "bn[1]", "bn[2]"}


def moved_by_training(bench: Bench) -> Set[str]:
    """Return the blobs that three iterations have changed."""
    modified, _ = network(bench)
    solver = modified.solver(base_lr=1e-3)
    before = blobs_of(solver.net)
    solver.step(3)
    after = blobs_of(solver.net)
    np.testing.assert_array_equal(after["layer_weight_qat[4]"], after["scale[0]"])
    return {name for name in before if not np.array_equal(before[name], after[name])}


@pytest.mark.lacks("batch_norm_trained")
def test_training_moves_gamma_and_beta_and_leaves_the_statistics(bench: Bench) -> None:
    moved = moved_by_training(bench)
    assert {"scale[0]", "scale[1]", "layer_weight_qat[0]", "layer[1]"} <= moved
    assert not STATISTICS & moved


@pytest.mark.needs("batch_norm_trained", "batch_norm_names_kept")
def test_training_moves_the_statistics_where_caffe_can(bench: Bench) -> None:
    own = {f"layer_shift_search[{index}]" for index in (4, 5, 6)}
    assert own | STATISTICS <= moved_by_training(bench)


def test_folding_before_training_gives_one_layer_with_a_bias(bench: Bench) -> None:
    modified, images = network(bench, bias=False, batch_norm="fold")
    net = modified.net()
    assert "bn" not in net.params
    assert "scale" not in net.params
    modified.solver(max_iter=2, test_interval=2, base_lr=1e-4).solve()
    modified.save(modified.snapshot(2), "Both")
    assert verify(str(modified.folder / "saved"), {"data": images}).exact


def reinsert(bench: Bench, modified: Modified) -> Modified:
    """Insert again with one weight scale for all channels."""
    import json
    from pathlib import Path

    from amct_core import workflow

    config = json.loads(Path(modified.config).read_text())
    config["layer"]["retrain_weight_config"]["channel_wise"] = False
    Path(modified.config).write_text(json.dumps(config))
    original = [str(bench.folder / f"float.{end}") for end in ("prototxt", "caffemodel")]
    workflow.insert(
        *original, modified.config, modified.model, modified.weights, modified.record_file
    )
    return modified


def saved_weights(modified: Modified) -> Tuple[np.ndarray, np.ndarray]:
    """Return the deployed int8 weights as int64 and scale_w' of the record as float64."""
    path = str(modified.folder / "saved_deploy_weights.caffemodel")
    (blobs,) = [layer.blobs for layer in reader.read(path).layers if layer.name == "layer"]
    scale_w: Sequence[Any] = modified.record().get("layer").scale_w
    return np.asarray(blobs[0], np.int64), np.asarray(scale_w, np.float64)


def fold_multiplier(net: Any) -> np.ndarray:
    """Return gamma / sqrt(variance + eps), in float64."""
    _, variance, factor = (np.asarray(blob.data, np.float64) for blob in net.params["bn"])
    gamma = np.asarray(net.params["scale"][0].data, np.float64)
    return np.asarray(gamma / np.sqrt(variance / factor + 1e-5))


class TestTheProbe:
    """Which Caffe trains BatchNorm is found out by running one layer."""

    @pytest.mark.lacks("batch_norm_trained")
    def test_the_caffe_of_the_package_index_cannot_and_its_layers_are_frozen_with_one_line(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        modified, _ = network(bench)
        assert "use_global_stats: true" in Path(modified.model).read_text()
        said = [r.getMessage() for r in caplog.records if "BatchNorm" in r.getMessage()]
        (line,) = said
        assert "BatchNorm is frozen in 1 layers" in line
        assert "this Caffe cannot train them" in line

    def test_where_caffe_can_the_layer_is_left_as_it_is(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("amct_caffe.frontend.reason_to_freeze", lambda: None)
        modified, _ = network(bench)
        assert "use_global_stats" not in Path(modified.model).read_text()

    @pytest.mark.parametrize("right_backward", [True, False])
    def test_it_believes_a_caffe_whose_forward_and_backward_follow_the_batch(
        self, right_backward: bool
    ) -> None:
        net = BatchNormByDefinition(right_backward)
        assert follows_the_batch(net) is right_backward


class Blob:
    """Stands in for a Caffe blob."""

    def __init__(self) -> None:
        self.data, self.diff = (np.zeros((4, 2, 3, 3), np.float32) for _ in range(2))


class BatchNormByDefinition:
    """A net of one BatchNorm layer, as a Caffe that can train it computes it."""

    def __init__(self, right_backward: bool) -> None:
        self.blobs = {"data": Blob(), "norm": Blob()}
        self.right_backward = right_backward

    def forward(self) -> None:
        x = self.blobs["data"].data
        centered = x - x.mean((0, 2, 3), keepdims=True)
        self.blobs["norm"].data[...] = centered / np.sqrt(x.var((0, 2, 3), keepdims=True) + 1e-5)

    def backward(self) -> None:
        y, dy = self.blobs["norm"].data, self.blobs["norm"].diff
        dx = dy.copy()
        if self.right_backward:
            dx -= dy.mean((0, 2, 3), keepdims=True) + y * (dy * y).mean((0, 2, 3), keepdims=True)
        self.blobs["data"].diff[...] = dx
