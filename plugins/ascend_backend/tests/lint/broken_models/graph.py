"""Networks that ATC does not take, or reads otherwise: names, wiring, layer types."""

from __future__ import annotations

from plugins.ascend_backend.tests.lint.broken_models.whole_model import Entry, Model, breaks, floats


def _only_a_name(m: Model) -> None:
    m.net, m.entries = 'name: "n"', [Entry("nothing", "ReLU", [])]


@breaks("A001")
def v1_prototxt(m: Model) -> None:
    _only_a_name(m)
    m.net += 'layers { name: "r" type: RELU bottom: "d" top: "r" }'


@breaks("A002")
def no_layer(m: Model) -> None:
    _only_a_name(m)


@breaks("A003", "pr ob")
def space_in_a_name(m: Model) -> None:
    m.replace('name: "prob"', 'name: "pr ob"')


@breaks("A003", "próba")
def letter_of_another_alphabet(m: Model) -> None:
    m.replace('name: "prob"', 'name: "próba"')


@breaks("A004", "last")
def no_type(m: Model) -> None:
    m.add('name: "last" bottom: "prob" top: "last"')


@breaks("A004")
def no_name(m: Model) -> None:
    m.add('type: "ReLU" bottom: "prob" top: "last"')


@breaks("A005", "relu")
def repeated_name(m: Model) -> None:
    m.add('name: "relu" type: "ReLU" bottom: "prob" top: "last"')


@breaks("A010", "last")
def unknown_bottom(m: Model) -> None:
    m.add('name: "last" type: "ReLU" bottom: "nowhere" top: "last"')


@breaks("A010", "prob")
def bottom_of_a_layer_that_is_dropped(m: Model) -> None:
    m.add('name: "t" type: "ReLU" bottom: "up" top: "t" include { phase: TRAIN }')
    m.replace('bottom: "fc" top: "prob"', 'bottom: "t" top: "prob"')


@breaks("A011", "last")
def repeated_top(m: Model) -> None:
    m.add('name: "last" type: "ReLU" bottom: "up" top: "prob"')


@breaks("A012", "last")
def no_top(m: Model) -> None:
    m.add('name: "last" type: "ReLU" bottom: "prob"')


@breaks("A119", "loss")
def loss(m: Model) -> None:
    m.add('name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "prob" top: "loss"')


@breaks("A119", "labels")
def data_layer(m: Model) -> None:
    m.add('name: "labels" type: "Data" top: "label"')


@breaks("A120")
def weights_of_another_save(m: Model) -> None:
    m.names = '{"digests": {"deploy": {"model": "0", "weights": "0", "layers": {}}}}'


@breaks("A013", "code")
def python_layer(m: Model) -> None:
    m.add('name: "code" type: "Python" bottom: "prob" top: "code"')


@breaks("A014", "swish")
def unlisted_type(m: Model) -> None:
    m.add('name: "swish" type: "Swish" bottom: "prob" top: "swish"')


@breaks("A014", "clip")
def type_of_bvlc_caffe_without_a_plugin(m: Model) -> None:
    m.add('name: "clip" type: "Clip" bottom: "prob" top: "clip" clip_param { min: 0 max: 6 }')


@breaks("A014", "tanh")
def type_in_other_letters(m: Model) -> None:
    m.add('name: "tanh" type: "Tanh" bottom: "prob" top: "tanh"')


@breaks("A015", "boxes")
def ambiguous_type(m: Model) -> None:
    m.add('name: "boxes" type: "DetectionOutput" bottom: "prob" top: "boxes"')


@breaks("A016", "last")
def include_without_phase(m: Model) -> None:
    m.add('name: "last" type: "ReLU" bottom: "prob" top: "last" include { stage: "deploy" }')


@breaks("A016", "last")
def exclude(m: Model) -> None:
    m.add('name: "last" type: "ReLU" bottom: "prob" top: "last" exclude { phase: TEST }')


@breaks("A017", "conv")
def convolution_by_nd_im2col(m: Model) -> None:
    m.replace("kernel_size: 3 pad: 1", "kernel_size: 3 pad: 1 force_nd_im2col: true")


def _float_convolution(m: Model, parameters: str, *shape: int, kind: str = "Convolution") -> None:
    """Append a convolution without a bias that reads (1, 32, 16, 16)."""
    m.add(
        f'name: "last" type: "{kind}" bottom: "up" top: "last" '
        f"convolution_param {{ num_output: 2 bias_term: false {parameters} }}"
    )
    m.entries.append(Entry("last", kind, [floats(*shape)]))


@breaks("A017", "last")
def depthwise_convolution_by_nd_im2col(m: Model) -> None:
    parameters = "kernel_size: 1 group: 2 force_nd_im2col: true"
    _float_convolution(m, parameters, 2, 16, 1, 1, kind="DepthwiseConvolution")


@breaks("A018", "last")
def convolution_along_the_last_axis(m: Model) -> None:
    _float_convolution(m, "kernel_size: 1 axis: 2", 2, 16, 1)


@breaks("A018", "last")
def deconvolution_along_the_last_axis(m: Model) -> None:
    _float_convolution(m, "kernel_size: 1 axis: -2", 16, 2, 1, kind="Deconvolution")


@breaks("A018", "last")
def convolution_over_three_axes(m: Model) -> None:
    parameters = "kernel_size: 1 kernel_size: 1 kernel_size: 1"
    _float_convolution(m, parameters, 2, 32, 1, 1, 1)


@breaks("A018", "last")
def convolution_over_three_axes_of_one_size(m: Model) -> None:
    _float_convolution(m, "kernel_size: 1", 2, 32, 1, 1, 1)


@breaks("A019", "conv")
def convolution_of_two_blobs(m: Model) -> None:
    two = 'type: "Convolution" bottom: "conv_in" bottom: "conv_in" top: "conv_sum" top: "unread"'
    m.replace('type: "Convolution" bottom: "conv_in" top: "conv_sum"', two)
    m.entry("conv").bottoms = ["x", "y"]


@breaks("A019", "up", beside=("A026",))
def deconvolution_with_two_tops(m: Model) -> None:
    m.replace('bottom: "up_in" top: "up_sum"', 'bottom: "up_in" top: "up_sum" top: "unread"')


@breaks("A026", "last")
def kernel_larger_than_its_input(m: Model) -> None:
    m.add(
        'name: "last" type: "Pooling" bottom: "up" top: "last" '
        "pooling_param { kernel_size: 99 stride: 1 }"
    )


@breaks("A026", "last")
def stride_of_nothing(m: Model) -> None:
    m.add(
        'name: "last" type: "Pooling" bottom: "up" top: "last" '
        "pooling_param { kernel_size: 1 stride: 0 }"
    )
