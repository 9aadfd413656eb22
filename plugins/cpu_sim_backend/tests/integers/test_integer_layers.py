"""The integer layers equal nested loops over Python's integers, in every engine."""

from __future__ import annotations

from typing import Any, List, Tuple

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from amct_core.errors import QuantizationError
from plugins.cpu_sim_backend.tests.integers import plain
from plugins.cpu_sim_backend.tests.integers.drawing import (
    OFFSETS,
    Drawn,
    biases,
    bytes_of,
    convolutions,
    factors,
    poolings,
)
from plugins.cpu_sim_backend.tests.integers.engines import every_engine
from plugins.cpu_sim_backend.tests.integers.one_quantized import (
    ACCUMULATOR,
    OUTPUT,
    run,
    simulator,
    word,
)
from plugins.cpu_sim_backend.tests.integers.plain import Geometry


def windows(message: str, g: Geometry, **others: Any) -> str:
    """Return a layer's parameters in prototxt notation."""
    sides = {
        f"{name}_{side}": value
        for name, pair in (("kernel", g.kernel), ("stride", g.stride), ("pad", g.pad))
        for side, value in zip("hw", pair)
    }
    fields = [f"{name}: {value}" for name, value in {**sides, **others}.items()]
    if message == "convolution_param":
        fields += [f"group: {g.group}", *(f"dilation: {value}" for value in g.dilation)]
    return f"{message} {{ {' '.join(fields)} }}"


def check_convolution(kind: str, drawn: Drawn, compute: Any) -> None:
    weights, bias = drawn.weights.tolist(), drawn.bias.tolist()
    sums = [compute(x, weights, bias, drawn.geometry) for x in drawn.centered]
    outputs = [
        [
            [[plain.dequantize(acc, scale, n) for acc in row] for row in plane]
            for plane, scale, n in zip(sample, drawn.deq_scale, drawn.shift_n)
        ]
        for sample in sums
    ]
    parameters = windows("convolution_param", drawn.geometry, num_output=len(bias))
    for engine in every_engine():
        simulated = simulator(
            f'type: "{kind}" {parameters}',
            drawn.q.shape,
            [drawn.weights, drawn.bias],
            list(map(word, drawn.deq_scale, drawn.shift_n)),
            engine,
            offset=drawn.offset,
        )
        found = run(simulated, drawn.q, drawn.offset)
        assert found[ACCUMULATOR] == sums
        assert found[OUTPUT] == outputs


@settings(max_examples=60)
@given(drawn=convolutions(transposed=False))
def test_convolution(drawn: Drawn) -> None:
    check_convolution("Convolution", drawn, plain.convolution)


@settings(max_examples=60)
@given(drawn=convolutions(transposed=True))
def test_deconvolution(drawn: Drawn) -> None:
    check_convolution("Deconvolution", drawn, plain.deconvolution)


@settings(max_examples=60)
@given(data=st.data(), offset=OFFSETS)
def test_inner_product(data: Any, offset: int) -> None:
    batch, outputs = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    shape = tuple(data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    q = data.draw(bytes_of((batch, *shape)))
    weights = data.draw(bytes_of((outputs, int(np.prod(shape)))))
    bias = data.draw(biases(outputs))
    scales, shift_n = factors(data.draw, 1)
    sums = [
        plain.inner_product(x, weights.tolist(), bias.tolist())
        for x in (q.astype(int) - offset).reshape(batch, -1).tolist()
    ]
    for engine in every_engine():
        simulated = simulator(
            f'type: "InnerProduct" inner_product_param {{ num_output: {outputs} }}',
            q.shape,
            [weights, bias],
            [word(scales[0], shift_n[0])],
            engine,
            offset=offset,
        )
        found = run(simulated, q, offset)
        assert found[ACCUMULATOR] == sums
        assert found[OUTPUT] == [
            [plain.dequantize(acc, scales[0], shift_n[0]) for acc in sample] for sample in sums
        ]


@settings(max_examples=100)
@given(drawn=poolings())
def test_average_pooling(drawn: Tuple[Geometry, Any, int, float]) -> None:
    g, q, offset, deq_scale = drawn
    centered = (q.astype(int) - offset).tolist()
    expected = [[plain.window_sums(plane, g) for plane in sample] for sample in centered]
    rounding = "CEIL" if g.rounds_up else "FLOOR"
    for engine in every_engine():
        simulated = simulator(
            f'type: "Pooling" {windows("pooling_param", g, pool="AVE", round_mode=rounding)}',
            q.shape,
            [],
            [word(deq_scale)],
            engine,
            offset=offset,
        )
        found = run(simulated, q, offset)
        for sample, planes in enumerate(expected):
            for channel, plane in enumerate(planes):
                sums = [[total for total, _ in row] for row in plane]
                assert found[ACCUMULATOR][sample][channel] == sums
                assert found[OUTPUT][sample][channel] == [
                    [plain.average(total, area, deq_scale, g) for total, area in row]
                    for row in plane
                ]


LIMITS = np.iinfo(np.int32)


@settings(max_examples=60)
@given(
    weights=st.lists(st.integers(-128, 127), min_size=3, max_size=3),
    q=st.lists(st.integers(-128, 127), min_size=3, max_size=3),
    distance=st.integers(-(2**17), 2**17),
    end=st.sampled_from([LIMITS.min, LIMITS.max]),
)
@example(weights=[1, 0, 0], q=[1, 0, 0], distance=-1, end=LIMITS.max)  # just fits
@example(weights=[1, 0, 0], q=[1, 0, 0], distance=0, end=LIMITS.max)  # just does not
def test_an_accumulator_outside_int32_is_an_error(
    weights: List[int], q: List[int], distance: int, end: int
) -> None:
    assume(LIMITS.min <= end + distance <= LIMITS.max)
    (expected,) = plain.inner_product(q, [weights], [end + distance])
    values = np.array([q], np.int8)
    for engine in every_engine():
        simulated = simulator(
            'type: "InnerProduct" inner_product_param { num_output: 1 }',
            (1, 3),
            [np.array([weights], np.int8), np.array([end + distance], np.int32)],
            [word(1.0)],
            engine,
        )
        if LIMITS.min <= expected <= LIMITS.max:
            assert run(simulated, values)[ACCUMULATOR] == [[expected]]
            continue
        with pytest.raises(QuantizationError, match=rf"channel 0 is {expected}.*int32") as caught:
            run(simulated, values)
        assert caught.value.layer == "layer"
