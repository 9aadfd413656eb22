"""Output sizes along one axis; those of Caffe are in ``tests/core/graph``."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.numerics import arrays, windows


@given(
    size=st.integers(1, 40),
    kernel=st.integers(1, 7),
    stride=st.integers(1, 5),
    pad=st.integers(0, 3),
    dilation=st.integers(1, 3),
)
def test_a_deconvolution_has_the_size_whose_convolution_has_the_first(
    size: int, kernel: int, stride: int, pad: int, dilation: int
) -> None:
    enlarged = windows.deconvolved_size(size, kernel, stride, pad, dilation)
    assert windows.convolved_size(enlarged, kernel, stride, pad, dilation) == size


@pytest.mark.parametrize(
    ("count", "listed"),
    [
        (1, "channel 0"),
        (8, "channels 0, 1, 2, 3, 4, 5, 6, 7"),
        (9, "channels 0, 1, 2, 3, 4, 5, 6, 7, ..."),
    ],
)
def test_a_message_lists_eight_channels_at_most(count: int, listed: str) -> None:
    assert arrays.channel_list(np.ones(count, bool)) == listed
