"""Quant and DeQuant layers with wrong numbers, or in the wrong place."""

from __future__ import annotations

import numpy as np

from plugins.ascend_backend.tests.lint.broken_models.whole_model import (
    Entry,
    Model,
    blob,
    breaks,
    floats,
    quant_layer,
    words,
)


@breaks("A050", "fc_q")
def quant_without_scale(m: Model) -> None:
    m.replace(r'scale: 25 offset: "\003"', r'offset: "\003"')


@breaks("A051", "fc_q")
def negative_scale(m: Model) -> None:
    m.replace(r'scale: 25 offset: "\003"', r'scale: -25 offset: "\003"')


@breaks("A051", "fc_q")
def scale_beyond_float32(m: Model) -> None:
    m.replace(r'scale: 25 offset: "\003"', r'scale: 1e39 offset: "\003"')


@breaks("A051", "fc_q")
def scale_of_nan(m: Model) -> None:
    m.replace(r'scale: 25 offset: "\003"', r'scale: nan offset: "\003"')


@breaks("A052", "fc_q")
def scale_beyond_float16(m: Model) -> None:
    m.replace(r'scale: 25 offset: "\003"', r'scale: 65505 offset: "\003"')


@breaks("A052", "fc_q")
def scale_below_float16(m: Model) -> None:
    m.replace(r'scale: 25 offset: "\003"', r'scale: 6.1e-5 offset: "\003"')


@breaks("A053", "fc_q")
def offset_in_letters(m: Model) -> None:
    m.replace(r'offset: "\003"', 'offset: "-128"')


@breaks("A053", "fc_q")
def empty_offset(m: Model) -> None:
    m.replace(r'offset: "\003"', 'offset: ""')


@breaks("A054", "fc_q")
def no_offset(m: Model) -> None:
    m.replace(r'scale: 25 offset: "\003"', "scale: 25")


@breaks("A055", "extra_q")
def quant_before_a_relu(m: Model) -> None:
    quant_layer(m, "extra_q", "prob")
    m.add('name: "last" type: "ReLU" bottom: "extra_q" top: "last"')


@breaks("A055", "extra_q")
def quant_that_nothing_reads(m: Model) -> None:
    quant_layer(m, "extra_q", "prob")


@breaks("A056", "second_q")
def siblings_of_other_scales(m: Model) -> None:
    quant_layer(m, "first_q", "prob")
    quant_layer(m, "second_q", "prob", 26)
    for name in ("first", "second"):
        m.add(f'name: "{name}" type: "AntiQuant" bottom: "{name}_q" top: "{name}"')


@breaks("A060", "conv")
def accumulators_with_a_second_reader(m: Model) -> None:
    m.add('name: "last" type: "ReLU" bottom: "conv_sum" top: "last"')


@breaks("A060", "fc")
def no_dequant(m: Model) -> None:
    m.replace('layer { name: "fc_d" type: "DeQuant" bottom: "fc_sum" top: "fc" }', "")
    m.replace('bottom: "fc" top: "prob"', 'bottom: "fc_sum" top: "prob"')
    m.entry("fc_d").blobs = []


@breaks("A061", "last")
def dequant_of_floats(m: Model) -> None:
    m.add('name: "last" type: "DeQuant" bottom: "prob" top: "last"')
    m.entries.append(Entry("last", "DeQuant", [blob(words(1))]))


@breaks("A062", "last")
def integer_weights_without_quant(m: Model) -> None:
    m.add(
        'name: "last" type: "InnerProduct" bottom: "prob" top: "last" '
        "inner_product_param { num_output: 2 bias_term: false }"
    )
    m.entries.append(Entry("last", "InnerProduct", [blob(np.ones((2, 10), np.int8))]))


@breaks("A063", "fc")
def float_weights(m: Model) -> None:
    m.entry("fc").blobs[0] = floats(10, 2048)


@breaks("A064", "fc")
def float_bias(m: Model) -> None:
    m.entry("fc").blobs[1] = floats(10)


@breaks("A065", "fc")
def axis_2(m: Model) -> None:
    m.replace("num_output: 10", "num_output: 10 axis: 2")


@breaks("A065", "fc")
def transposed(m: Model) -> None:
    m.replace("num_output: 10", "num_output: 10 transpose: true")
    m.entry("fc").blobs[0] = blob(np.ones((2048, 10), np.int8))


@breaks("A066", "conv")
def filter_with_three_dimensions(m: Model) -> None:
    m.entry("conv").blobs[0] = blob(np.ones((32, 32, 3), np.int8))


@breaks("A067", "up")
def dilation(m: Model) -> None:
    m.replace("kernel_size: 2 stride: 2 bias_term", "kernel_size: 2 dilation: 2 bias_term")


@breaks("A068", "up")
def groups(m: Model) -> None:
    m.replace("kernel_size: 2 stride: 2 bias_term", "kernel_size: 2 group: 2 bias_term")
    m.entry("up").blobs[0] = blob(np.ones((32, 16, 2, 2), np.int8))


@breaks("A069", "pool")
def global_pooling(m: Model) -> None:
    m.replace("pool: AVE kernel_size: 2 stride: 2", "pool: AVE global_pooling: true")
