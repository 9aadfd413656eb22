"""Any number that a layer may hold arrives in the deployable model, to the last bit."""

from __future__ import annotations

import struct
from typing import Any, List

import attrs
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from plugins.ascend_backend.tests import hand_made
from plugins.ascend_backend.tests.hand_made import Written, layers
from plugins.ascend_backend.tests.wire_reader import Blob, decode_word, float32_bits

FLOAT32_ABOVE_0 = st.integers(1, 0x7F7FFFFF)
"""Bits of every finite float32 above 0, subnormal ones included."""


def written(**changes: Any) -> Written:
    """Return the hand-made model with another ``conv``; its siblings keep their factors."""
    conv, *others = layers()
    return hand_made.written([attrs.evolve(conv, **changes), *others])


def float32_of(bits: int) -> float:
    (value,) = struct.unpack("<f", struct.pack("<I", bits))
    return float(value)


@settings(max_examples=50)
@given(bits=FLOAT32_ABOVE_0, offset=st.integers(-128, 127))
def test_the_factors_of_quant(bits: int, offset: int) -> None:
    files = written(quant_scale=np.float32(float32_of(bits)), offset=offset)
    quant = files.layer("conv_0_quant_layer").quant_param
    assert float32_bits(quant.scale) == bits
    assert struct.unpack("b", quant.offset) == (offset,)


@settings(max_examples=50)
@given(
    scales=st.lists(FLOAT32_ABOVE_0, min_size=4, max_size=4),
    shift_n=st.lists(st.integers(1, 16), min_size=4, max_size=4) | st.just([0] * 4),
)
def test_the_words_of_dequant(scales: List[int], shift_n: List[int]) -> None:
    deq_scale = np.array([float32_of(bits) for bits in scales], np.float32)
    files = written(deq_scale=deq_scale, shift_n=np.array(shift_n, np.uint8))
    (blob,) = files.binary["conv_dequant_layer"].blobs
    expected = [(bits, n, 0, 0) for bits, n in zip(scales, shift_n)]
    assert [decode_word(word) for word in blob.values] == expected


@settings(max_examples=50)
@given(bias=arrays.arrays(np.int32, 4))
def test_the_bias(bias: Any) -> None:
    assert written(bias=bias).binary["conv"].blobs[1] == Blob("int32_data", [4], bias.tolist())


@settings(max_examples=50)
@given(weights=arrays.arrays(np.int8, (4, 2, 3, 3)))
def test_the_weights(weights: Any) -> None:
    values = [int(w) for filters in weights for plane in filters for row in plane for w in row]
    stored = written(weights=weights).binary["conv"].blobs[0]
    assert stored == Blob("int8_data", [4, 2, 3, 3], values)
