"""What single processors do not take, or change."""

from __future__ import annotations

import numpy as np

from plugins.ascend_backend.tests.lint.broken_models.whole_model import (
    Model,
    blob,
    breaks,
    floats,
    words,
)


@breaks("A080", "fc_d")
def dequant_of_two_dimensions(m: Model) -> None:
    m.entry("fc_d").blobs = [blob(words(1), (1, 1))]


@breaks("A080", "fc_d")
def dequant_of_floats_as_in_the_fake_quantized_model(m: Model) -> None:
    m.entry("fc_d").blobs = [floats(1), floats(1), floats(1)]


@breaks("A080", "fc_d")
def dequant_without_a_blob(m: Model) -> None:
    m.entry("fc_d").blobs = []


@breaks("A081", "conv_d")
def words_for_other_channels(m: Model) -> None:
    m.entry("conv_d").blobs = [blob(words(31))]


@breaks("A082", "conv_d")
def shift_for_some_channels(m: Model) -> None:
    m.entry("conv_d").blobs = [blob(words(32, n=[0] + [3] * 31))]


@breaks("A082", "conv_d")
def shift_of_17(m: Model) -> None:
    m.entry("conv_d").blobs = [blob(words(32, n=17))]


@breaks("A083", "conv_d")
def weight_offset(m: Model) -> None:
    m.entry("conv_d").blobs = [blob(words(32, high=0xFF))]


@breaks("A084", "conv_d")
def upper_bits(m: Model) -> None:
    m.entry("conv_d").blobs = [blob(words(32, high=0x100))]


@breaks("A085", "conv_d")
def deq_scale_of_0(m: Model) -> None:
    m.entry("conv_d").blobs = [blob(words(32, 0.0))]


@breaks("A085", "conv_d")
def infinite_deq_scale(m: Model) -> None:
    m.entry("conv_d").blobs = [blob(words(32, np.inf))]


@breaks("A086", "conv_d")
def huge_deq_scale(m: Model) -> None:
    m.entry("conv_d").blobs = [blob(words(32, 2.0**24))]


@breaks("A090")
def processor_without_caffe(m: Model) -> None:
    m.soc_version = "Ascend910B1"


@breaks("A091", beside=("A094",))
def processor_that_passes_over_n(m: Model) -> None:
    m.soc_version = "Ascend310B1"
    m.entry("conv_d").blobs = [blob(words(32, n=3))]


@breaks("A092", "conv")
def sixteen_input_channels(m: Model) -> None:
    m.replace("dim: 32", "dim: 16")
    m.entry("conv").blobs[0] = blob(np.ones((32, 16, 3, 3), np.int8))


@breaks("A092", "fc")
def inner_product_behind_few_channels(m: Model) -> None:
    m.replace("num_output: 32 kernel_size: 2", "num_output: 16 kernel_size: 2")
    m.entry("up").blobs = [blob(np.ones((32, 16, 2, 2), np.int8))]
    m.entry("up_d").blobs = [blob(words(16))]
    m.entry("fc").blobs[0] = blob(np.ones((10, 1024), np.int8))


@breaks("A093", beside=("A094",))
def processor_that_cuts_deq_scale(m: Model) -> None:
    m.soc_version = "Ascend310B1"
    m.entry("conv_d").blobs = [blob(words(32, 0.01))]


@breaks("A094")
def processor_that_quantizes_in_float16(m: Model) -> None:
    m.soc_version = "Ascend310P3"


@breaks("A095", "pool")
def pooling_to_a_width_of_1(m: Model) -> None:
    m.replace("AVE kernel_size: 2 stride: 2", "AVE kernel_h: 2 kernel_w: 16 stride: 2")
    m.entry("fc").blobs[0] = blob(np.ones((10, 256), np.int8))
