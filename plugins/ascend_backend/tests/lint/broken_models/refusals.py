"""Layers whose parameters ATC refuses or understands otherwise."""

from __future__ import annotations

from plugins.ascend_backend.tests.lint.broken_models.whole_model import (
    Entry,
    Model,
    blob,
    breaks,
    floats,
    quant_layer,
    words,
)


@breaks("A070", "pool_d")
def shift_on_pooling(m: Model) -> None:
    m.entry("pool_d").blobs = [blob(words(1, n=1))]


@breaks("A071", "last")
def product_of_int8(m: Model) -> None:
    quant_layer(m, "extra_q", "prob")
    m.add(
        'name: "last" type: "Eltwise" bottom: "extra_q" bottom: "extra_q" top: "last" '
        "eltwise_param { operation: PROD }"
    )


def _max_pooling(m: Model) -> None:
    m.add(
        'name: "last" type: "Pooling" bottom: "up" top: "last" top: "mask" '
        "pooling_param { pool: MAX kernel_size: 2 stride: 2 }"
    )


@breaks("A072", "last")
def mask_that_a_layer_reads(m: Model) -> None:
    _max_pooling(m)
    m.add('name: "reader" type: "ReLU" bottom: "mask" top: "reader"')


@breaks("A072", "last")
def mask_that_nothing_reads(m: Model) -> None:
    _max_pooling(m)


@breaks("A073", "last", beside=("A026",))
def reshape_without_parameters(m: Model) -> None:
    m.add('name: "last" type: "Reshape" bottom: "up" top: "last"')


@breaks("A073", "last", beside=("A026",))
def reshape_without_a_shape(m: Model) -> None:
    m.add('name: "last" type: "Reshape" bottom: "up" top: "last" reshape_param { axis: 1 }')


@breaks("A074", "last")
def stochastic_pooling(m: Model) -> None:
    m.add(
        'name: "last" type: "Pooling" bottom: "up" top: "last" '
        "pooling_param { pool: STOCHASTIC kernel_size: 2 }"
    )


@breaks("A088", "last")
def pooling_that_rounds_down_in_another_caffes_words(m: Model) -> None:
    m.add(
        'name: "last" type: "Pooling" bottom: "up" top: "last" '
        "pooling_param { pool: MAX kernel_size: 2 stride: 2 ceil_mode: false }"
    )


@breaks("A075", "last")
def normalization_within_a_channel(m: Model) -> None:
    m.add(
        'name: "last" type: "LRN" bottom: "up" top: "last" '
        "lrn_param { local_size: 3 norm_region: WITHIN_CHANNEL }"
    )


@breaks("A076", "last")
def slopes_of_an_rrelu(m: Model) -> None:
    slopes = "rrelu_param { lower: 3 upper: 8 }"
    m.add(f'name: "last" type: "RReLU" bottom: "up" top: "last" {slopes}')


@breaks("A076", "last")
def slope_of_a_leaky_relu_in_a_field_of_its_own(m: Model) -> None:
    slope = "leaky_relu_param { negative_slope: 0.1 }"
    m.add(f'name: "last" type: "LeakyReLU" bottom: "up" top: "last" {slope}')


@breaks("A076", "last")
def slope_of_a_relu6(m: Model) -> None:
    slope = "relu_param { negative_slope: 0.1 }"
    m.add(f'name: "last" type: "ReLU6" bottom: "up" top: "last" {slope}')


@breaks("A087", "last")
def size_of_an_upsample_as_scale(m: Model) -> None:
    m.add('name: "last" type: "Upsample" bottom: "up" top: "last" upsample_param { scale: 2 }')


def _float_inner_product(m: Model, name: str, bottom: str, axis: int, inputs: int) -> None:
    m.add(
        f'name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" '
        f"inner_product_param {{ num_output: 2 bias_term: false axis: {axis} }}"
    )
    m.entries.append(Entry(name, "InnerProduct", [floats(2, inputs)]))


@breaks("A077", "last")
def inner_product_along_the_width(m: Model) -> None:
    _float_inner_product(m, "last", "up", 3, 16)


@breaks("A077", "last")
def inner_product_along_the_batch(m: Model) -> None:
    _float_inner_product(m, "last", "up", 0, 8192)


@breaks("A077", "last")
def inner_product_along_the_last_of_four_axes(m: Model) -> None:
    _float_inner_product(m, "last", "up", -1, 16)


@breaks("A077", "last")
def inner_product_along_the_last_axis_behind_another_at_batch_1(m: Model) -> None:
    _float_inner_product(m, "last", "prob", -1, 10)


@breaks("A078", "prob")
def softmax_along_the_last_axis_at_batch_1(m: Model) -> None:
    m.replace('bottom: "fc" top: "prob"', 'bottom: "fc" top: "prob" softmax_param { axis: -1 }')


@breaks("A078", "last")
def slices_along_the_last_axis_at_batch_1(m: Model) -> None:
    m.add('name: "gate" type: "Sigmoid" bottom: "prob" top: "gate"')
    m.add(
        'name: "last" type: "Slice" bottom: "gate" top: "first" top: "second" '
        "slice_param { axis: -1 }"
    )


@breaks("A078", "last")
def concat_along_the_last_axis_at_batch_1(m: Model) -> None:
    m.add(
        'name: "last" type: "Concat" bottom: "fc" bottom: "prob" top: "last" '
        "concat_param { axis: -1 }"
    )


@breaks("A078", "last")
def concat_of_a_flat_blob_and_an_inner_product_at_batch_1(m: Model) -> None:
    m.add('name: "flat" type: "Flatten" bottom: "up" top: "flat"')
    m.add('name: "last" type: "Concat" bottom: "flat" bottom: "prob" top: "last"')


@breaks("A079", "first_q", beside=("A094",))
def merged_siblings_of_other_offsets(m: Model) -> None:
    m.soc_version = "Ascend310P3"
    quant_layer(m, "first_q", "fc", offset=r"\001")
    quant_layer(m, "second_q", "fc", 25.000009, offset=r"\002")
    m.replace('bottom: "fc" top: "prob"', 'bottom: "first" top: "prob"')
    for name in ("first", "second"):
        m.add(f'name: "{name}" type: "AntiQuant" bottom: "{name}_q" top: "{name}"')
