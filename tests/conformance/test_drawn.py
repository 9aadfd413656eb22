"""Shapes and parameters that nobody chose: drawn by hypothesis, through training in Caffe."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpu_sim_backend.verify import verify
from tests.conformance.building import FOLLOWERS, loss, relu, source
from tests.conformance.case import Case
from tests.conformance.runner import insert, train

pytestmark = pytest.mark.caffe


@st.composite
def windows(draw: Any, size: int) -> tuple[int, int, int, int]:
    """Return kernel, stride, pad and dilation that fit an axis of ``size``."""
    pad = draw(st.integers(0, 3))
    dilation = draw(st.integers(1, 3))
    kernel = draw(st.integers(1, min(5, (size + 2 * pad - 1) // dilation + 1)))
    return kernel, draw(st.integers(1, 4)), pad, dilation


@st.composite
def convolutions(draw: Any) -> Case:
    """Return a case: one or two convolutions or deconvolutions with something behind each."""
    group = draw(st.sampled_from([1, 1, 2, 3]))
    channels, outputs = group * draw(st.integers(1, 3)), group * draw(st.integers(1, 4))
    height, width = draw(st.integers(3, 12)), draw(st.integers(3, 12))
    vertical, horizontal = draw(windows(height)), draw(windows(width))
    follower = FOLLOWERS[draw(st.sampled_from(sorted(FOLLOWERS)))]
    bias = draw(st.booleans())
    batch = draw(st.integers(1, 3))
    upsamples = draw(st.booleans())
    sizes = dict(zip(("kernel_h", "kernel_w"), (vertical[0], horizontal[0])))
    sizes.update(stride_h=vertical[1], stride_w=horizontal[1])
    sizes.update(pad_h=vertical[2], pad_w=horizontal[2])

    def build(n: Any, L: Any, P: Any) -> None:
        top = source(n, L, batch, channels, height, width)
        n.layer = L.Convolution(
            top,
            num_output=outputs,
            group=group,
            dilation=[vertical[3], horizontal[3]],
            bias_term=bias,
            **sizes,
        )
        top = relu(n, L, follower(n, L, n.layer, "layer"), "relu")
        if upsamples:
            n.up = L.Deconvolution(
                top, convolution_param=dict(num_output=2, kernel_size=3, stride=2, pad=1)
            )
            top = follower(n, L, n.up, "up")
        loss(n, L, top)

    return Case(
        name=f"{sizes}, group {group}, {follower.__name__}, bias {bias}",
        build=build,
        quantized=("layer", "up") if upsamples else ("layer",),
        config={
            "batch_norm": draw(st.sampled_from(["keep", "fold"])),
            "shift_n_algo": draw(st.sampled_from(["search_n_v2", "search_n", "none"])),
        },
        channel_wise=draw(st.booleans()),
    )


@settings(max_examples=30, derandomize=True)
@given(case=convolutions())
def test_simulation_equals_caffe(case: Case) -> None:
    from amct_caffe.runtime.pycaffe import caffe

    with tempfile.TemporaryDirectory() as folder:
        inserted = insert(case, Path(folder), caffe)
        assert inserted.quantizable == case.quantized
        train(inserted, caffe)
        report = verify(inserted.save(), inserted.inputs(seed=2, spread=1.5))
    assert report.exact, report
