"""What algorithms learn or keep in real Caffe: gradients, initialisation, negative gammas."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from amct_core import workflow
from amct_core.errors import TrainingError
from amct_core.extensions import ActivationAlgorithm, LearnedParameter, StateVariable
from amct_core.extensions import WeightAlgorithm as Weights
from amct_core.numerics import affine, arq
from amct_core.plugins import registries
from cpu_sim_backend.verify import verify
from plugins.amct_caffe.tests.qat import nets
from plugins.amct_caffe.tests.qat.bench import Bench, Modified, blobs_of

pytestmark = pytest.mark.caffe

STEP = 0.0625
BATCH = 4
KINDS = ("activation", "weight")


def factors(clip_max: Any, clip_min: Any, fixed_min: bool, values: Any) -> Any:
    return np.float32(values["step"][0]), 0


def forward(x: Any, clip_max: Any, clip_min: Any, fixed_min: bool, values: Any) -> Any:
    scale, offset = factors(clip_max, clip_min, fixed_min, values)
    q = affine.quantize(x, affine.quant_scale(scale), offset)
    return affine.dequantize(q, offset, scale), scale, offset


def backward(x: Any, g: Any, clip_max: Any, clip_min: Any, fixed_min: bool, values: Any) -> Any:
    return g, 0.0, 0.0, {"step": np.float32([g.sum(dtype=np.float64)])}


def initialise(x: Any, *bounds: Any, batch: int, values: Any) -> Dict[str, Any]:
    assert not values["step"].flags.writeable
    return {"step": np.float32([STEP * batch]), "seen": np.float32([[batch, len(x)]])}


def observe(x: Any, *bounds: Any, values: Any) -> Dict[str, Any]:
    return {"seen": values["seen"] + np.float32([[1, 0]])}


def scale_gradients(weights: Any, g: Any, scale: Any, axis: Any) -> Any:
    rows = np.moveaxis(g, axis, 0).reshape(len(scale), -1)
    return g, rows.sum(axis=1)


ACTIVATION = ActivationAlgorithm(
    "mine",
    forward,
    backward,
    factors,
    learned=(LearnedParameter("step", lr_mult=2.0),),
    state=(StateVariable("seen", shape=(1, 2)),),
    initialise=initialise,
    observe=observe,
)
WEIGHT = Weights("mine", arq.scales, arq.quantize, backward=scale_gradients)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register both algorithms for the time of a test."""
    plugins = registries()
    for registry, item in (
        (plugins.activation_algorithms, ACTIVATION),
        (plugins.weight_algorithms, WEIGHT),
    ):
        monkeypatch.setattr(registry, "_items", {**registry._items, "mine": item})


def network(bench: Bench, batch: int = BATCH, bounds: bool = False, **config: Any) -> Modified:
    """Return a convolution with Scale, some of whose gammas are negative, in front of a loss."""
    random = np.random.default_rng(2)
    file = bench.data(
        data=random.normal(0, 1, (8, 2, 5, 5)), label=random.normal(0, 1, (8, 3, 3, 3))
    )
    given = {"clip_max": 4.0, "clip_min": -4.0} if bounds else {}
    return bench.modify(
        nets.batches(file, ["data", "label"], batch),
        nets.convolution("conv", "data", 3, 3),
        nets.layer("scale", "Scale", ["conv"], ["scaled"], "scale_param { bias_term: true }"),
        nets.euclidean_loss("scaled"),
        blobs={"scale": [np.float32([1.5, -0.5, -2.0]), np.float32([0.1, 0.2, -0.3])]},
        data_config={"algo": "mine", **given},
        conv={
            "retrain_data_config": {"algo": "mine", **given},
            "retrain_weight_config": {"algo": "mine", "channel_wise": True},
        },
        **config,
    )


def test_initialisation_counts_its_batches_and_then_state_follows_each_forward(
    bench: Bench,
) -> None:
    solver = network(bench, batch_num=2).solver(base_lr=0.0, max_iter=9)
    seen = []
    for _ in range(4):
        solver.step(1)
        blobs = solver.net.params["conv_activation_qat"]
        seen.append((blobs[3].data[0], *blobs[4].data[0]))
    assert seen == [(STEP, 1, 4), (2 * STEP, 2, 4), (2 * STEP, 3, 4), (2 * STEP, 4, 4)]


def test_what_is_learned_moves_by_its_gradient_times_its_multiplier(bench: Bench) -> None:
    modified = network(bench, batch_num=1)
    solver = modified.solver(base_lr=1e-3, momentum=0.0, weight_decay=0.0, max_iter=9)
    before = blobs_of(solver.net)["conv_weight_qat[2]"]
    solver.step(1)
    net = solver.net
    (gradient,) = np.float32([net.blobs["conv_activation_qat"].diff.sum(dtype=np.float64)])
    moved = net.params["conv_activation_qat"][3].data[0] - np.float32(STEP)
    assert moved == pytest.approx(-2e-3 * gradient, rel=1e-3)
    scale = net.params["conv_weight_qat"][2]
    # Caffe has multiplied the diff by the rate.
    assert np.abs(scale.diff).min() > 0
    np.testing.assert_allclose(scale.data, before - scale.diff, rtol=1e-6)


def test_gradients_of_two_passes_add_up(bench: Bench) -> None:
    found = []
    for iter_size in (1, 2):
        modified = network(bench, batch=8 // iter_size, batch_num=iter_size, bounds=True)
        solver = modified.solver(
            iter_size=iter_size, base_lr=1.0, momentum=0.0, weight_decay=0.0, max_iter=2
        )
        solver.net.params["conv_activation_qat"][3].data[...] = STEP
        solver.net.params["conv_activation_qat"][2].data[0] = 7  # initialised already
        solver.step(1)
        activation, weight = (solver.net.params[f"conv_{each}_qat"] for each in KINDS)
        found.append([activation[3].diff[0], *weight[2].diff])
    assert np.abs(found[0]).min() > 1e-3
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)


def test_a_test_pass_before_initialisation_is_refused_also_with_given_bounds(bench: Bench) -> None:
    modified = network(bench, batch_num=2, bounds=True)
    net = modified.net(phase=bench.caffe.TEST)
    with pytest.raises(TrainingError, match="not initialised: that takes 2 TRAIN forwards"):
        net.forward()
    solver = Path(bench.folder / "s.prototxt")
    solver.write_text(nets.solver(modified.model, "s", max_iter=4, test_interval=1, test_iter=2))
    from amct_caffe.training.solver_check import check_solver

    with pytest.raises(TrainingError, match="the first TEST pass would come before"):
        check_solver(str(solver), modified.config, modified.model)


def test_the_saved_model_is_exact_whatever_the_sign_of_gamma(bench: Bench) -> None:
    modified = network(bench, batch_num=1)
    solver = modified.solver(max_iter=5, test_interval=5, test_iter=2, base_lr=1e-5)
    solver.solve()
    modified.save(modified.snapshot(5), "Both")
    entry = modified.record().get("conv")
    blobs = blobs_of(solver.net)
    assert np.float32(entry.scale_d) == blobs["conv_activation_qat[3]"][0]
    images = np.load(bench.folder / "data.npz")["data"]
    assert verify(str(modified.folder / "saved"), {"data": images}).exact
    assert len(entry.shift_bit) == 3


def test_a_learned_value_that_diverged_is_told_by_name(bench: Bench) -> None:
    modified = network(bench, batch_num=1)
    solver = modified.solver(max_iter=5, snapshot=1)
    solver.step(1)
    solver.net.params["conv_activation_qat"][3].data[...] = np.nan
    solver.net.save(str(bench.folder / "nan.caffemodel"))
    with pytest.raises(TrainingError, match=r"'step' of activation algorithm 'mine' holds nan"):
        solver.net.forward()
    with pytest.raises(TrainingError, match=r"'step' of activation algorithm 'mine' holds nan"):
        workflow.save(modified.model, str(bench.folder / "nan.caffemodel"), str(bench.folder / "x"))
