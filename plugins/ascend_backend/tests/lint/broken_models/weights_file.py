"""Weights files that do not fit their network."""

from __future__ import annotations

import numpy as np

from plugins.ascend_backend.tests.lint.broken_models.whole_model import (
    Entry,
    Model,
    bias,
    blob,
    breaks,
    floats,
    payload,
)


def _only_an_input(m: Model) -> None:
    m.net = m.net[: m.net.index('layer { name: "conv_q"')]


@breaks("A020", "more")
def input_without_a_shape(m: Model) -> None:
    m.add('name: "more" type: "Input" top: "more" input_param { }')


@breaks("A021", "more")
def input_without_parameters(m: Model) -> None:
    m.add('name: "more" type: "Input" top: "more"')


@breaks("A021", "more")
def net_input_without_a_shape(m: Model) -> None:
    m.net += 'input: "more"'


@breaks("A022", "data")
def batch_of_0(m: Model) -> None:
    m.replace("dim: 1 ", "dim: 0 ")


@breaks("A022", "data")
def batch_of_minus_1(m: Model) -> None:
    m.replace("dim: 1 ", "dim: -1 ")


@breaks("A023", "more")
def input_of_two_tops(m: Model) -> None:
    m.add('name: "more" type: "Input" top: "x" top: "y" input_param { shape { dim: 1 } }')


@breaks("A025", "ones")
def constant_input(m: Model) -> None:
    m.add('name: "ones" type: "DummyData" top: "ones" dummy_data_param { shape { dim: 1 } }')


@breaks("A024")
def too_few_input_dims(m: Model) -> None:
    m.net += 'input: "more" input_dim: 1 input_dim: 3 input_dim: 8'


@breaks("A024")
def too_many_input_shapes(m: Model) -> None:
    m.net += 'input: "more" input_shape { dim: 1 } input_shape { dim: 1 }'


@breaks("A024")
def input_dims_and_shapes(m: Model) -> None:
    dims = "input_dim: 1 " * 4
    m.net += f'input: "more" {dims} input_shape {{ dim: 1 }}'


@breaks("A030")
def v1_weights(m: Model) -> None:
    _only_an_input(m)
    m.raw_weights = Entry("conv", "Convolution", []).encoded((2, 4, 5, 6))


@breaks("A031")
def empty_weights_file(m: Model) -> None:
    _only_an_input(m)
    m.raw_weights = b""


@breaks("A032", "fc")
def bias_with_an_element_missing(m: Model) -> None:
    m.entry("fc").blobs[1] = blob(np.zeros(9, np.int32), (10,))


@breaks("A032", "conv")
def weights_with_a_byte_too_many(m: Model) -> None:
    m.entry("conv").blobs[0] = blob(np.zeros(9217, np.int8), (32, 32, 3, 3))


@breaks("A033", "fc")
def bias_of_size_0(m: Model) -> None:
    m.entry("fc").blobs[1] = blob(np.zeros(10, np.int32), (0,))


@breaks("A033", "fc")
def too_many_elements(m: Model) -> None:
    m.entry("fc").blobs[1] = blob(np.zeros(10, np.int32), (2**16, 2**16))


@breaks("A034", "fc")
def weights_missing(m: Model) -> None:
    m.entries.remove(m.entry("fc"))


@breaks("A034", "fc")
def entry_without_blobs(m: Model) -> None:
    m.entry("fc").blobs = []


@breaks("A035", "fc")
def types_differ(m: Model) -> None:
    m.entry("fc").type = "innerproduct"


@breaks("A036", "up")
def bias_though_bias_term_is_false(m: Model) -> None:
    m.entry("up").blobs.append(bias(32))


@breaks("A036", "fc")
def no_bias_though_bias_term_is_true(m: Model) -> None:
    m.entry("fc").blobs.pop()


@breaks("A037", "fc")
def two_entries(m: Model) -> None:
    m.entries.append(m.entry("fc"))


@breaks("A038", "gone")
def weights_of_a_layer_that_is_not_there(m: Model) -> None:
    m.entries.append(Entry("gone", "InnerProduct", [floats(2, 2)]))


@breaks("A039", "conv")
def filter_of_another_size(m: Model) -> None:
    m.entry("conv").blobs[0] = blob(np.ones((32, 32, 5, 5), np.int8))


@breaks("A040", "fc")
def integers_and_floats_in_one_blob(m: Model) -> None:
    m.entry("fc").blobs[1] += payload(np.ones(10, np.float32))


@breaks("A041", "b")
def sharing_of_weights_alone(m: Model) -> None:
    for name, value in (("a", 1.0), ("b", 2.0)):
        m.add(
            f'name: "{name}" type: "InnerProduct" bottom: "prob" top: "{name}" '
            'param { name: "w" } inner_product_param { num_output: 2 }'
        )
        m.entries.append(Entry(name, "InnerProduct", [floats(2, 10), floats(2, value=value)]))


@breaks("A042", "fc_d")
def dequant_entry_without_bottoms(m: Model) -> None:
    m.entry("fc_d").bottoms = []


@breaks("A042", "conv")
def convolution_entry_without_bottoms(m: Model) -> None:
    m.entry("conv").bottoms = []


@breaks("A042", "fc_d")
def dequant_entry_with_two_bottoms(m: Model) -> None:
    m.entry("fc_d").bottoms = ["x", "y"]


@breaks("A042", "b", beside=("A026",))
def bottoms_of_the_entry_that_two_layers_share(m: Model) -> None:
    shared = 'type: "Scale" param { name: "s" } scale_param { bias_term: false }'
    m.add(f'name: "a" {shared} bottom: "prob" top: "a"')
    m.add(f'name: "b" {shared} bottom: "prob" bottom: "a" top: "b"')
    m.entries.append(Entry("a", "Scale", [floats(10)]))


@breaks("A043", "last")
def second_bottom_where_the_operator_takes_weights(m: Model) -> None:
    m.add('name: "last" type: "PReLU" bottom: "prob" bottom: "fc" top: "last"')
    m.entries.append(Entry("last", "PReLU", [floats(10)], ["x", "y"]))


@breaks("A043", "last")
def one_input_for_a_bottom_and_a_blob(m: Model) -> None:
    bottoms = 'bottom: "prob" bottom: "fc" bottom: "up" top: "last"'
    m.add(f'name: "last" type: "LSTM" {bottoms} recurrent_param {{ num_output: 2 }}')
    blobs = [floats(8, 10), floats(8), floats(8, 2), floats(8, 2)]
    m.entries.append(Entry("last", "LSTM", blobs, ["x", "y", "z"]))
