"""Float layers of other Caffes: onnxruntime, which implements the operators itself, agrees."""

from __future__ import annotations

from typing import Any, List, Tuple

import numpy as np
import pytest

from amct_core.graph.shapes import known_shapes
from plugins.cpu_sim_backend.tests.other_caffes.one_float_layer import (
    ENGINES,
    graph,
    run,
    run_onnx,
)

IMAGE = (2, 8, 4, 6)
RANDOM = np.random.default_rng(0)
SCALES = RANDOM.uniform(0.5, 2, 8)
BN = [RANDOM.normal(0, 1, (1, 8, 1, 1)) for _ in range(3)] + [RANDOM.uniform(0.1, 2, (1, 8, 1, 1))]

CASES: List[Tuple[str, Tuple[Tuple[int, ...], ...], List[Any]]] = [
    ('type: "ReLU6"', (IMAGE,), []),
    ('type: "ReLU6"', ((3, 7),), []),
    ('type: "Clip" clip_param { min: -0.75 max: 1.25 }', (IMAGE,), []),
    ('type: "HardSigmoid"', (IMAGE,), []),
    ('type: "HardSigmoid" hard_sigmoid_param { alpha: 0.1666667 beta: 0.5 }', (IMAGE,), []),
    ('type: "HardSigmoid" hardsigmoid_param { alpha: 0.3 }', ((3, 7),), []),
    ('type: "HardSwish"', (IMAGE,), []),
    ('type: "Upsample" upsample_param { scale: 3 }', (IMAGE,), []),
    ('type: "Upsample" upsample_param { stride: 2 }', (IMAGE,), []),
    ('type: "Upsample" upsample_param { scale: 0.5 stride_h: 3 stride_w: 1 }', (IMAGE,), []),
    ('type: "Interp" interp_param { zoom_factor: 8 }', (IMAGE,), []),
    ('type: "Interp" interp_param { shrink_factor: 2 }', ((1, 3, 9, 12),), []),
    ('type: "Interp" interp_param { shrink_factor: 4 zoom_factor: 3 }', ((1, 3, 9, 12),), []),
    ('type: "Interp" interp_param { height: 15 width: 7 }', (IMAGE,), []),
    ('type: "Interp" interp_param { height: 1 width: 1 }', (IMAGE,), []),
    ('type: "Interp" interp_param { height: 60 width: 60 }', ((1, 2, 1, 1),), []),
    ('type: "Interp" interp_param { height: 6 width: 9 pad_beg: -1 pad_end: -2 }', (IMAGE,), []),
    ('type: "Interp"', (IMAGE, (2, 5, 7, 13)), []),
    ('type: "ShuffleChannel" shuffle_channel_param { group: 4 }', (IMAGE,), []),
    ('type: "ShuffleChannel" shuffle_channel_param { group: 2 }', ((3, 8),), []),
    ('type: "PixelShuffle" pixel_shuffle_param { upscale_factor: 2 }', (IMAGE,), []),
    ('type: "PixelShuffle" pixelshuffle_param { upscale_factor: 3 }', ((1, 18, 2, 3),), []),
    ('type: "Reorg" reorg_param { stride: 2 }', (IMAGE,), []),
    ('type: "Reorg" reorg_param { stride: 2 reverse: true }', (IMAGE,), []),
    (
        'type: "Normalize" norm_param { across_spatial: false channel_shared: false }',
        (IMAGE,),
        [SCALES],
    ),
    ('type: "Normalize" norm_param { channel_shared: true eps: 0.5 }', (IMAGE,), [20]),
    ('type: "BN" bn_param { frozen: true eps: 0.01 }', (IMAGE,), BN),
    ('type: "BN" bn_param { bn_mode: INFERENCE }', (IMAGE,), BN[:2]),
    (
        'type: "PriorBox" prior_box_param { min_size: 16 max_size: 30 aspect_ratio: 2 '
        "variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 }",
        (IMAGE, (2, 3, 32, 48)),
        [],
    ),
]
"""Layer, shapes of its inputs, weights."""


def data(shapes: Tuple[Tuple[int, ...], ...]) -> List[np.ndarray]:
    """Return inputs that reach both ends of each activation."""
    random = np.random.default_rng(1)
    return [(random.standard_normal(shape) * 4).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize(("body", "shapes", "weights"), CASES, ids=[body for body, *_ in CASES])
def test_onnxruntime_computes_the_same(
    body: str, shapes: Tuple[Tuple[int, ...], ...], weights: List[Any]
) -> None:
    pytest.importorskip("onnxruntime")
    inputs = data(shapes)
    found = run("reference", body, *inputs, weights=weights)
    theirs = run_onnx(body, *inputs, weights=weights)
    assert (found.dtype, found.shape) == (np.float32, theirs.shape)
    # Of the largest: onnxruntime rounds the places between which Interp lies once less.
    np.testing.assert_allclose(found, theirs, rtol=0, atol=2e-6 * np.abs(theirs).max())


@pytest.mark.parametrize(("body", "shapes", "weights"), CASES, ids=[body for body, *_ in CASES])
def test_the_shape_is_known_before_anything_runs(
    body: str, shapes: Tuple[Tuple[int, ...], ...], weights: List[Any]
) -> None:
    network = graph(body, *shapes, weights=weights)
    found = run("reference", body, *data(shapes), weights=weights)
    assert known_shapes(network)[network.node("y").outputs[0]] == found.shape


@pytest.mark.parametrize(("body", "shapes", "weights"), CASES, ids=[body for body, *_ in CASES])
def test_the_fast_engine_gives_the_same_bits(
    body: str, shapes: Tuple[Tuple[int, ...], ...], weights: List[Any]
) -> None:
    pytest.importorskip("numba")
    inputs = data(shapes)
    reference, fast = (run(engine, body, *inputs, weights=weights) for engine in ENGINES)
    np.testing.assert_array_equal(reference, fast)


@pytest.mark.parametrize(("body", "shapes", "weights"), CASES, ids=[body for body, *_ in CASES])
def test_a_sample_alone_gives_the_same_bits_where_the_type_says_so(
    body: str, shapes: Tuple[Tuple[int, ...], ...], weights: List[Any]
) -> None:
    if not graph(body, *shapes, weights=weights).node("y").type.by_sample:
        pytest.skip("the type does not say so")
    inputs = data(shapes)
    whole = run("reference", body, *inputs, weights=weights)
    alone = [
        run("reference", body, *(x[i : i + 1] for x in inputs), weights=weights)
        for i in range(len(inputs[0]))
    ]
    np.testing.assert_array_equal(whole, np.concatenate(alone))
