"""Layers and integers for hypothesis to draw."""

from __future__ import annotations

from typing import Any, List, Tuple

import attrs
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from plugins.cpu_sim_backend.tests.integers.plain import Geometry

OFFSETS = st.sampled_from([-128, -1, 0, 1, 127]) | st.integers(-128, 127)
DEQ_SCALES = st.floats(2.0**-20, 4.0, width=32)
SHIFTS = st.integers(1, 16)


@attrs.frozen(eq=False)
class Drawn:
    """A convolution or deconvolution with its integers; repr is what hypothesis prints."""

    geometry: Geometry
    q: NDArray[np.int8]
    offset: int
    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    deq_scale: List[float]
    shift_n: List[int]

    @property
    def centered(self) -> Any:
        """``q - offset`` as nested lists, batch first."""
        return (self.q.astype(int) - self.offset).tolist()


def bytes_of(shape: Tuple[int, ...]) -> st.SearchStrategy[Any]:
    """Draw int8 values, both ends among them more often than chance has it."""
    return arrays.arrays(np.int8, shape, elements=st.sampled_from([-128, 127]) | st.integers(-9, 9))


def biases(count: int) -> st.SearchStrategy[Any]:
    """Draw biases: small ones, and large ones that no shift by N can hold in int16."""
    largest = st.sampled_from([100, 2**17, 2**24 + 2**10, 2**30])
    return largest.flatmap(
        lambda limit: arrays.arrays(np.int32, count, elements=st.integers(-limit, limit))
    )


def factors(draw: Any, count: int) -> Tuple[List[float], List[int]]:
    """Draw deq_scale and N per channel: N in 1..16 for all channels or 0 for all."""
    scales = draw(st.lists(DEQ_SCALES, min_size=count, max_size=count))
    searched = st.lists(SHIFTS, min_size=count, max_size=count)
    return scales, draw(searched | st.just([0] * count))


@st.composite
def convolutions(draw: Any, transposed: bool) -> Drawn:
    """Draw a layer whose windows fit the padded input; a deconvolution's output is not empty."""
    group = draw(st.integers(1, 3))
    inputs, outputs = (group * draw(st.integers(1, 2)) for _ in range(2))
    size, axes = [], []
    for _ in range(2):
        kernel, stride, pad = (draw(st.integers(low, 3)) for low in (1, 1, 0))
        dilation = draw(st.integers(1, 2))
        extent = dilation * (kernel - 1) + 1
        least = -(-(2 * pad + 1 - extent) // stride) + 1 if transposed else extent - 2 * pad
        size.append(draw(st.integers(max(1, least), max(1, least) + 3)))
        axes.append((kernel, stride, pad, dilation))
    kernel, stride, pad, dilation = zip(*axes)
    pair = (inputs, outputs // group) if transposed else (outputs, inputs // group)
    scales, shift_n = factors(draw, outputs)
    return Drawn(
        geometry=Geometry(kernel, stride, pad, dilation, group),
        q=draw(bytes_of((draw(st.integers(1, 2)), inputs, *size))),
        offset=draw(OFFSETS),
        weights=draw(bytes_of((*pair, *kernel))),
        bias=draw(biases(outputs)),
        deq_scale=scales,
        shift_n=shift_n,
    )


@st.composite
def poolings(draw: Any) -> Tuple[Geometry, NDArray[np.int8], int, float]:
    """Draw windows as Caffe takes them (pad < kernel), int8 values, offset and deq_scale."""
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(2))
    pad = tuple(draw(st.integers(0, k - 1)) for k in kernel)
    stride = tuple(draw(st.integers(1, k)) for k in kernel)
    size = [draw(st.integers(max(1, k - 2 * p), 7)) for k, p in zip(kernel, pad)]
    q = draw(bytes_of((draw(st.integers(1, 2)), draw(st.integers(1, 2)), *size)))
    g = Geometry(kernel, stride, pad, rounds_up=draw(st.booleans()))
    return g, q, draw(OFFSETS), draw(DEQ_SCALES)
