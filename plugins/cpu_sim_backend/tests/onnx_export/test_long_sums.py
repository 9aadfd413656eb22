"""Integer layers in ONNX whose sums exceed what float32 holds exactly: not one integer differs."""

from __future__ import annotations

from typing import Any, List, Tuple

import numpy as np
import pytest

from amct_core.errors import ModelError
from plugins.cpu_sim_backend.tests.integers.one_quantized import ACCUMULATOR, simulator, word

pytest.importorskip("onnxruntime")

OFFSET = -100
CHANNELS = 600
SHAPE = (2, CHANNELS, 3, 4)


def accumulators(
    body: str, weights: np.ndarray, outputs: int, shape: Tuple[int, ...] = SHAPE
) -> List[np.ndarray]:
    """Return those of the reference engine and of onnxruntime, for the largest values there are."""
    import onnx
    import onnxruntime

    from cpu_sim_backend.onnx_export import export

    bias = np.arange(outputs, dtype=np.int32) * 1001 - 7
    own = simulator(body, shape, [weights, bias], [word(1.0)] * outputs, "reference", offset=OFFSET)
    x = np.random.default_rng(2).choice([0, 120, 226, 227], shape).astype(np.float32)
    model = export(own.graph)
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(ACCUMULATOR))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    theirs: Any = session.run([ACCUMULATOR], {"data": x})[0]
    return [own.run({"data": x}, [ACCUMULATOR])[ACCUMULATOR], theirs]


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        (
            'type: "Convolution" convolution_param { num_output: 5 kernel_size: 3 }',
            (5, CHANNELS, 3, 3),
        ),
        (
            'type: "Deconvolution" convolution_param { num_output: 5 kernel_size: 4 stride: 2 }',
            (CHANNELS, 5, 4, 4),
        ),
        ('type: "InnerProduct" inner_product_param { num_output: 5 }', (5, CHANNELS * 12)),
    ],
)
def test_sums_above_2_24_are_equal(body: str, shape: Any) -> None:
    weights = np.random.default_rng(1).integers(100, 128, shape).astype(np.int8)
    own, theirs = accumulators(body, weights, 5)
    assert own.max() > 2**24
    assert own.dtype == theirs.dtype == np.int32
    np.testing.assert_array_equal(own, theirs)


def test_a_deconvolution_within_float32_is_not_split() -> None:
    from cpu_sim_backend.onnx_export import export

    body = 'type: "Deconvolution" convolution_param { num_output: 2 kernel_size: 2 }'
    weights = np.ones((CHANNELS, 2, 2, 2), np.int8)
    bias = np.zeros(2, np.int32)
    own = simulator(body, SHAPE, [weights, bias], [word(1.0)] * 2, "reference", offset=OFFSET)
    operators = [node.op_type for node in export(own.graph).graph.node]
    assert operators.count("ConvTranspose") == 1


def test_of_a_window_with_strides_counts_what_one_output_meets() -> None:
    """The last layer of FCN-32s: more than 2^24 in one channel, but not in one place."""
    body = 'type: "Deconvolution" convolution_param { num_output: 2 kernel_size: 64 stride: 32 }'
    weights = np.full((3, 2, 64, 64), 127, np.int8)
    own, theirs = accumulators(body, weights, 2, (1, 3, 3, 4))
    np.testing.assert_array_equal(own, theirs)


def test_a_window_that_is_too_large_by_itself_is_named() -> None:
    """Splitting by channels does not help: one channel's 27 x 27 weights are too many."""
    from cpu_sim_backend.onnx_export import export

    body = 'type: "Deconvolution" convolution_param { num_output: 1 kernel_size: 27 }'
    weights = np.full((1, 1, 27, 27), 127, np.int8)
    own = simulator(body, (1, 1, 2, 2), [weights], [word(1.0)], "reference", offset=-128)
    with pytest.raises(ModelError, match=r"'layer'.*one input channel can reach 23608665"):
        export(own.graph)
