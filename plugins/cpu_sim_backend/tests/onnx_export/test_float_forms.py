"""Float layers of BVLC Caffe in ONNX: onnxruntime computes what the simulation computes."""

from __future__ import annotations

from typing import Any, List, Tuple

import numpy as np
import pytest

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.to_graph import to_graph
from amct_core.errors import ModelError
from cpu_sim_backend import Simulator
from plugins.cpu_sim_backend.tests.other_caffes.one_float_layer import run, run_onnx

pytest.importorskip("onnxruntime")

IMAGE = (2, 6, 5, 7)
RANDOM = np.random.default_rng(0)
VECTOR = RANDOM.normal(0, 1, 6)

CASES: List[Tuple[str, Tuple[Tuple[int, ...], ...], List[Any]]] = [
    ('type: "Crop"', (IMAGE, (2, 1, 3, 4)), []),
    ('type: "Crop" crop_param { offset: 1 }', (IMAGE, (2, 9, 3, 4)), []),
    ('type: "Crop" crop_param { offset: 2 offset: 3 }', (IMAGE, (2, 1, 3, 4)), []),
    (
        'type: "Crop" crop_param { axis: 1 offset: 1 offset: 0 offset: 2 }',
        (IMAGE, (2, 4, 5, 3)),
        [],
    ),
    ('type: "Crop" crop_param { axis: -1 offset: 3 }', (IMAGE, (2, 1, 1, 4)), []),
    ('type: "Crop" crop_param { axis: 0 }', (IMAGE, (2, 4, 3, 3)), []),
    ('type: "Scale" scale_param { axis: 0 }', (IMAGE, (2, 6)), []),  # squeeze and excitation
    ('type: "Scale" scale_param { axis: 0 }', (IMAGE, (2,)), []),
    ('type: "Scale" scale_param { axis: 0 }', (IMAGE, IMAGE), []),
    (
        'type: "Scale" scale_param { axis: -4 bias_term: true }',
        (IMAGE, (2, 6)),
        [RANDOM.normal(0, 1, (2, 6))],
    ),
    ('type: "Scale" scale_param { axis: 1 }', (IMAGE, (6,)), []),
    (
        'type: "Scale" scale_param { axis: 1 bias_term: true }',
        (IMAGE, (6, 5)),
        [RANDOM.normal(0, 1, (6, 5))],
    ),
    ('type: "Scale" scale_param { axis: 2 }', (IMAGE, (5, 7)), []),
    ('type: "Scale" scale_param { bias_term: true }', (IMAGE,), [VECTOR, VECTOR[::-1]]),
    ('type: "Scale" scale_param { num_axes: 0 }', (IMAGE,), [np.float32(0.7)]),
    (
        'type: "Scale" scale_param { axis: 1 num_axes: -1 }',
        (IMAGE,),
        [RANDOM.normal(0, 1, IMAGE[1:])],
    ),
    ('type: "Scale"', ((3, 6),), [VECTOR]),
    (
        'type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 alpha: 0.7 }',
        (IMAGE,),
        [],
    ),
    (
        'type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL local_size: 5 beta: 0.5 k: 9 }',
        (IMAGE,),
        [],
    ),
    ('type: "LRN" lrn_param { local_size: 3 alpha: 0.7 }', (IMAGE,), []),
    ('type: "Bias" bias_param { axis: 1 }', (IMAGE,), [VECTOR]),
    ('type: "Bias" bias_param { axis: 0 }', (IMAGE, (2, 6)), []),
    ('type: "Power" power_param { scale: 0.5 shift: -1.5 }', (IMAGE,), []),
    ('type: "Power" power_param { power: 3 scale: 0.5 }', (IMAGE,), []),
    ('type: "Power" power_param { power: 0 shift: 2 }', (IMAGE,), []),
    ('type: "Power" power_param { power: 3 scale: 0 shift: 2 }', (IMAGE,), []),
    ('type: "ELU" elu_param { alpha: 0.3 }', (IMAGE,), []),
    ('type: "Swish" swish_param { beta: 1.5 }', (IMAGE,), []),
    ('type: "BNLL"', (IMAGE,), []),
    ('type: "Tile" tile_param { tiles: 3 }', (IMAGE,), []),
    ('type: "Tile" tile_param { tiles: 2 axis: -1 }', (IMAGE,), []),
]
"""Layer, shapes of its inputs, weights."""


@pytest.mark.parametrize(("body", "shapes", "weights"), CASES, ids=lambda value: str(value)[:60])
def test_onnxruntime_computes_the_same(
    body: str, shapes: Tuple[Tuple[int, ...], ...], weights: List[Any]
) -> None:
    random = np.random.default_rng(1)
    inputs = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
    found = run("reference", body, *inputs, weights=weights)
    theirs = run_onnx(body, *inputs, weights=weights)
    assert found.shape == theirs.shape
    np.testing.assert_allclose(found, theirs, rtol=0, atol=1e-6 * np.abs(theirs).max())


def test_a_crop_of_the_batch_is_refused_for_its_size_is_open() -> None:
    images, fewer = np.zeros(IMAGE, np.float32), np.zeros((1, 6, 5, 7), np.float32)
    with pytest.raises(ModelError, match=r"'y'.*cuts samples out of the batch"):
        run_onnx('type: "Crop" crop_param { axis: 0 }', images, fewer)


TWO_TOPS = """
layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 6 } } }
layer { name: "b" type: "Input" top: "b" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 6 } } }
layer { name: "conv" type: "%s" bottom: "a" bottom: "b" top: "x" top: "y"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
"""


@pytest.mark.parametrize(
    ("kind", "shape"), [("Convolution", (4, 3, 3, 3)), ("Deconvolution", (3, 4, 3, 3))]
)
def test_a_convolution_of_two_blobs_is_two_layers_of_onnx(
    kind: str, shape: Tuple[int, ...]
) -> None:
    import onnxruntime

    from cpu_sim_backend.onnx_export import export

    random = np.random.default_rng(3)
    blobs = [random.normal(0, 1, size).astype(np.float32) for size in (shape, (4,))]
    network = CaffeNetwork(documents.from_text(TWO_TOPS % kind), {"conv": blobs})
    graph = to_graph(network, "TEST")
    inputs = {name: random.normal(0, 1, (2, 3, 5, 6)).astype(np.float32) for name in "ab"}
    found = Simulator.from_graph(graph, "reference").run(inputs)
    session = onnxruntime.InferenceSession(
        export(graph).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for name, theirs in zip("xy", session.run(list("xy"), inputs)):
        np.testing.assert_allclose(found[name], theirs, rtol=1e-5, atol=1e-5)
