"""Networks of a few layers: how graphs branch, join, share and differ between the phases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.conformance.building import (
    TEST,
    TRAIN,
    batch_norm,
    convolution,
    inner_product,
    loss,
    relu,
    source,
)
from tests.conformance.case import Case

CASES: list[Case] = []


def case(*quantized: str, **facts: Any) -> Callable[..., Any]:
    """Register the function below as a case of its name."""

    def register(build: Any) -> Any:
        CASES.append(Case(build.__name__.replace("_", " "), build, quantized, **facts))
        return build

    return register


@case("one", "two", "three")
def siblings_share_one_activation(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    one = convolution(n, L, data, "one", 4)
    two = convolution(n, L, data, "two", 4, stride=1)
    n.sum = L.Eltwise(one, two)
    n.three = L.InnerProduct(data, num_output=3)
    loss(n, L, n.sum)
    loss(n, L, n.three, "loss2")


@case("one", enable=("one",))
def a_sibling_that_is_not_enabled_stays_float(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    n.sum = L.Eltwise(convolution(n, L, data, "one", 4), convolution(n, L, data, "two", 4))
    loss(n, L, n.sum)


def _residual(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = relu(n, L, batch_norm(n, L, convolution(n, L, data, "stem", 6), "stem"), "stem_relu")
    inner = relu(n, L, batch_norm(n, L, convolution(n, L, top, "a", 6), "a"), "a_relu")
    inner = batch_norm(n, L, convolution(n, L, inner, "b", 6, bias_term=False), "b")
    n.sum = L.Eltwise(top, inner)
    top = relu(n, L, n.sum, "sum_relu")
    loss(n, L, inner_product(n, L, top, "ip", 4))


for mode in ("keep", "fold"):
    CASES.append(
        Case(
            f"a residual block, batch_norm {mode}",
            _residual,
            ("stem", "a", "b", "ip"),
            config={"batch_norm": mode},
        )
    )


@case("one", "two", "after")
def a_difference_by_coefficients(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    one = relu(n, L, convolution(n, L, data, "one", 4), "relu1")
    two = relu(n, L, convolution(n, L, data, "two", 4), "relu2")
    n.difference = L.Eltwise(one, two, operation=P.Eltwise.SUM, coeff=[1.0, -0.5])
    loss(n, L, convolution(n, L, n.difference, "after", 3))


@case("one", "two", "three", "after")
def a_product_and_a_maximum(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    tops = [convolution(n, L, data, name, 4) for name in ("one", "two", "three")]
    n.product = L.Eltwise(tops[0], tops[1], operation=P.Eltwise.PROD)
    n.maximum = L.Eltwise(n.product, tops[2], operation=P.Eltwise.MAX)
    loss(n, L, convolution(n, L, n.maximum, "after", 3))


@case("reduce", "b1", "b3", "projection", "after")
def an_inception_block(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = relu(n, L, convolution(n, L, data, "reduce", 6), "reduce_relu")
    one = relu(n, L, convolution(n, L, top, "b1", 4, kernel_size=1, pad=0), "b1_relu")
    three = relu(n, L, convolution(n, L, top, "b3", 5), "b3_relu")
    n.pool = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=3, stride=1, pad=1)
    pool = convolution(n, L, n.pool, "projection", 2, kernel_size=1, pad=0)
    n.concat = L.Concat(one, three, pool)
    loss(n, L, convolution(n, L, n.concat, "after", 3))


@case("tall", "after")
def concatenation_along_the_height(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    n.concat = L.Concat(convolution(n, L, data, "tall", 3), data, axis=-2)
    loss(n, L, convolution(n, L, n.concat, "after", 3))


@case("left", "right", "after")
def a_slice_and_what_becomes_of_its_parts(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 5, 8, 8)
    n.a, n.b = L.Slice(data, ntop=2, slice_point=[2], axis=1)
    n.joined = L.Concat(convolution(n, L, n.a, "left", 2), convolution(n, L, n.b, "right", 3))
    loss(n, L, convolution(n, L, n.joined, "after", 3))


@case("one", "two")
def two_inputs(n: Any, L: Any, P: Any) -> None:
    data, depth = source(n, L, 2, 3, 8, 8), source(n, L, 2, 1, 8, 8, name="depth")
    n.sum = L.Eltwise(convolution(n, L, data, "one", 4), convolution(n, L, depth, "two", 4))
    loss(n, L, n.sum)


@case("trunk", "classes", "boxes")
def two_outputs(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = relu(n, L, convolution(n, L, data, "trunk", 4), "relu")
    loss(n, L, convolution(n, L, top, "classes", 2), "loss1")
    loss(n, L, convolution(n, L, top, "boxes", 4), "loss2")


@case("one", "two")
def a_quantized_blob_that_float_layers_read_too(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = convolution(n, L, data, "one", 4)
    two = convolution(n, L, top, "two", 4)
    n.pool = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=3, stride=1, pad=1)
    n.sum = L.Eltwise(top, two, n.pool)
    loss(n, L, n.sum)


@case("one", "two")
def a_long_chain_in_place(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = relu(n, L, batch_norm(n, L, convolution(n, L, data, "one", 4), "one"), "relu")
    n.drop = L.Dropout(top, in_place=True)
    n.power = L.Power(n.drop, in_place=True, scale=0.5)
    loss(n, L, convolution(n, L, n.power, "two", 4))


@case("one", "two")
def weights_that_two_layers_share_by_name(n: Any, L: Any, P: Any) -> None:
    shared = [dict(name="w"), dict(name="b")]
    data = source(n, L, 2, 3, 8, 8)
    top = relu(n, L, convolution(n, L, data, "one", 3, param=shared), "relu")
    loss(n, L, convolution(n, L, top, "two", 3, param=shared))


@case("one", "two")
def siamese_branches_of_two_inputs(n: Any, L: Any, P: Any) -> None:
    shared = [dict(name="w", lr_mult=1.0), dict(name="b", lr_mult=2.0)]
    left = convolution(n, L, source(n, L, 2, 3, 8, 8), "one", 3, param=shared)
    right = convolution(n, L, source(n, L, 2, 3, 8, 8, name="data_p"), "two", 3, param=shared)
    n.difference = L.Eltwise(left, right, coeff=[1.0, -1.0])
    loss(n, L, n.difference)


def _siamese_with_batch_norm(n: Any, L: Any, P: Any) -> None:
    shared = [dict(name="w"), dict(name="b")]
    left = convolution(n, L, source(n, L, 2, 3, 8, 8), "one", 3, param=shared)
    right = convolution(n, L, source(n, L, 2, 3, 8, 8, name="data_p"), "two", 3, param=shared)
    tops = batch_norm(n, L, left, "one"), batch_norm(n, L, right, "two")
    n.difference = L.Eltwise(*tops, coeff=[1.0, -1.0])
    loss(n, L, n.difference)


for mode in ("keep", "fold"):
    CASES.append(
        Case(
            f"siamese branches with a BatchNorm each, batch_norm {mode}",
            _siamese_with_batch_norm,
            ("one", "two"),
            config={"batch_norm": mode},
        )
    )


@case("trunk")
def a_branch_for_training_alone_stays_float(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = convolution(n, L, data, "trunk", 4)
    n.auxiliary = L.Convolution(top, num_output=2, kernel_size=3, include=dict(phase=TRAIN))
    loss(n, L, n.auxiliary, "loss1")
    loss(n, L, top)


@case("trunk")
def a_branch_for_testing_alone_stays_float(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = convolution(n, L, data, "trunk", 4)
    loss(n, L, top)
    n.mean = L.Pooling(top, pool=P.Pooling.AVE, kernel_size=3, include=dict(phase=TEST))


@case("trunk", "head")
def rules_that_exclude(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = relu(n, L, convolution(n, L, data, "trunk", 4), "relu")
    top = convolution(n, L, top, "head", 2)
    n.loss = L.Reduction(top, loss_weight=1.0, exclude=dict(phase=TEST))
    n.prob = L.Softmax(top, exclude=dict(phase=TRAIN))


@case("trunk")
def stages_and_levels_that_no_phase_has(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = convolution(n, L, data, "trunk", 4, include=dict(not_stage="fast"))
    n.fast = L.Convolution(data, num_output=4, kernel_size=3, include=dict(stage="fast"))
    n.deep = L.Convolution(top, num_output=4, kernel_size=3, include=dict(min_level=1))
    loss(n, L, top)


@case("trunk")
def what_follows_differs_between_the_phases(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = convolution(n, L, data, "trunk", 4)
    n.train_scale = L.Scale(top, include=dict(phase=TRAIN))
    n.loss = L.Reduction(n.train_scale, loss_weight=1.0, include=dict(phase=TRAIN))
    n.prob = L.Softmax(top, include=dict(phase=TEST))


@case("conv1/3x3", "conv-1", "conv 1", "conv_1")
def names_with_slash_dash_and_space(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = data
    for name in ("conv1/3x3", "conv-1", "conv 1", "conv_1"):
        top = convolution(n, L, top, name, 3)
    loss(n, L, top)


@case("one", "ip")
def a_flatten_before_an_inner_product(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    n.flat = L.Flatten(relu(n, L, convolution(n, L, data, "one", 2), "relu"))
    loss(n, L, inner_product(n, L, n.flat, "ip", 4))


@case("one", "two")
def a_reshape_between_convolutions(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = convolution(n, L, data, "one", 4)
    n.reshaped = L.Reshape(top, shape=dict(dim=[0, 2, -1, 8]))
    loss(n, L, convolution(n, L, n.reshaped, "two", 3))


@case("up", "one", "two")
def a_crop_of_an_upsampled_map(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 7, 7)
    n.up = L.Deconvolution(
        data, convolution_param=dict(num_output=4, kernel_size=4, stride=2, pad=0)
    )
    one = convolution(n, L, data, "one", 4)
    n.crop = L.Crop(n.up, one, axis=2, offset=[3, 2])
    n.sum = L.Eltwise(n.crop, one)
    loss(n, L, convolution(n, L, n.sum, "two", 3))


def _tiny_gammas(n: Any, L: Any, P: Any) -> None:
    fixed = [dict(lr_mult=0.0), dict(lr_mult=0.0)]  # or one iteration makes them large
    top = convolution(n, L, source(n, L, 2, 3, 8, 8), "layer", 12, param=fixed)
    loss(n, L, batch_norm(n, L, top, "layer", param=fixed))


for mode in ("keep", "fold"):
    for search in ("search_n_v2", "none"):
        for channel_wise in (True, False):
            CASES.append(
                Case(
                    f"gammas down to 1e-40, batch_norm {mode}, shift_n_algo {search}, "
                    f"channel_wise {channel_wise}",
                    _tiny_gammas,
                    ("layer",),
                    config={"batch_norm": mode, "shift_n_algo": search},
                    channel_wise=channel_wise,
                    gammas=(1, 1e-3, -1e-4, 3e-5, -1e-5, 4e-6, 1e-6, -1e-8, 1e-20, 1e-37, 1e-40, 0),
                )
            )


@case("one", "two")
def normalisation_across_channels(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = relu(n, L, convolution(n, L, data, "one", 8), "relu")
    n.norm = L.LRN(top, local_size=3, alpha=0.5, beta=0.75)
    loss(n, L, convolution(n, L, n.norm, "two", 3))


@case("one", "two")
def normalisation_within_a_channel(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = relu(n, L, convolution(n, L, data, "one", 4), "relu")
    n.norm = L.LRN(top, local_size=3, alpha=0.5, beta=0.75, norm_region=P.LRN.WITHIN_CHANNEL)
    loss(n, L, convolution(n, L, n.norm, "two", 3))


@case("one", "two")
def a_sigmoid_and_a_hyperbolic_tangent(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    n.gate = L.Sigmoid(convolution(n, L, data, "one", 4))
    n.tanh = L.TanH(data)
    n.joined = L.Concat(n.gate, n.tanh)
    loss(n, L, convolution(n, L, n.joined, "two", 3))


@case("one", "two")
def parametric_relus(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    n.prelu1 = L.PReLU(convolution(n, L, data, "one", 4), in_place=True)
    n.prelu2 = L.PReLU(convolution(n, L, n.prelu1, "two", 4), channel_shared=True)
    loss(n, L, n.prelu2)


@case("one", "ip")
def global_pooling_is_left_alone(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = convolution(n, L, data, "one", 4)
    n["global"] = L.Pooling(top, pool=P.Pooling.AVE, global_pooling=True)
    n.whole = L.Pooling(top, pool=P.Pooling.AVE, kernel_size=8)
    n.joined = L.Concat(n["global"], n.whole)
    loss(n, L, inner_product(n, L, n.joined, "ip", 3))


@case("one", "ave", "ip")
def average_pooling_whose_last_window_is_clipped(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = relu(n, L, convolution(n, L, data, "one", 4), "relu")
    n.ave = L.Pooling(top, pool=P.Pooling.AVE, kernel_size=3, stride=2, pad=1)
    loss(n, L, inner_product(n, L, n.ave, "ip", 3))


@case("one")
def deconvolutions_that_do_not_qualify(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 6, 6)
    top = convolution(n, L, data, "one", 4)
    n.bilinear = L.Deconvolution(
        top, convolution_param=dict(num_output=4, group=4, kernel_size=4, stride=2, pad=1)
    )
    n.atrous = L.Deconvolution(
        n.bilinear, convolution_param=dict(num_output=2, kernel_size=2, dilation=2)
    )
    loss(n, L, n.atrous)


@case("ip")
def inner_products_that_do_not_qualify(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 4, 4)
    loss(n, L, inner_product(n, L, data, "ip", 3), "loss1")
    loss(n, L, inner_product(n, L, data, "transposed", 3, transpose=True), "loss2")
    loss(n, L, inner_product(n, L, data, "last_axis", 3, axis=3), "loss3")


@case("ip", inexact=("ip",))
def a_convolution_over_three_axes_does_not_qualify(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 4, 4, 4)
    n.volume = L.Convolution(data, num_output=2, kernel_size=[2, 2, 2])
    loss(n, L, inner_product(n, L, n.volume, "ip", 3))


@case("trunk", "head")
def a_convolution_whose_output_is_read_before_its_batch_norm(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = convolution(n, L, data, "trunk", 4)
    normalised = batch_norm(n, L, top, "trunk", in_place=False)
    n.sum = L.Eltwise(top, normalised)
    loss(n, L, convolution(n, L, n.sum, "head", 3))


@case("one", "ip")
def normalisation_of_the_input_and_of_an_inner_product(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    top = batch_norm(n, L, data, "data", in_place=False)
    top = convolution(n, L, top, "one", 4)
    loss(n, L, batch_norm(n, L, inner_product(n, L, top, "ip", 5), "ip"))


@case("one", "two")
def a_scale_by_another_blob_is_not_folded(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    one = convolution(n, L, data, "one", 3)
    n.gated = L.Scale(one, data, axis=0)
    loss(n, L, convolution(n, L, n.gated, "two", 2))


@case("depthwise", "pointwise", "depthwise2", "pointwise2")
def depthwise_separable_blocks(n: Any, L: Any, P: Any) -> None:
    top = source(n, L, 2, 4, 9, 9)
    for index, stride in (("", 1), ("2", 2)):
        name = f"depthwise{index}"
        top = convolution(n, L, top, name, 4, group=4, stride=stride, bias_term=False)
        top = relu(n, L, batch_norm(n, L, top, name), f"{name}_relu")
        name = f"pointwise{index}"
        top = convolution(n, L, top, name, 4, kernel_size=1, pad=0, bias_term=False)
        top = relu(n, L, batch_norm(n, L, top, name), f"{name}_relu")
    loss(n, L, top)


@case("one", "two")
def blobs_that_nobody_reads(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    n.a, n.b = L.Slice(convolution(n, L, data, "one", 4), ntop=2)
    n.silence = L.Silence(n.b, ntop=0)
    loss(n, L, convolution(n, L, n.a, "two", 3))


@case("one", "two")
def a_split_that_is_written_out(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    n.a, n.b = L.Split(relu(n, L, convolution(n, L, data, "one", 3), "relu"), ntop=2)
    n.sum = L.Eltwise(convolution(n, L, n.a, "two", 3), n.b)
    loss(n, L, n.sum)


@case("one", "head", inexact=("head",))
def a_convolution_of_two_blobs_stays_float(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 8, 8)
    one = relu(n, L, convolution(n, L, data, "one", 3), "relu")
    n.a, n.b = L.Convolution(data, one, ntop=2, num_output=4, kernel_size=3)
    n.sum = L.Eltwise(n.a, n.b)
    loss(n, L, inner_product(n, L, n.sum, "head", 3))


@case("conv", "head", trains=False)
def layers_of_other_caffes_pass_through(n: Any, L: Any, P: Any) -> None:
    top = relu(n, L, convolution(n, L, source(n, L, 2, 3, 8, 8), "conv", 4), "relu")
    n.turned = L.Permute(convolution(n, L, top, "head", 6), permute_param=dict(order=[0, 2, 3, 1]))
    n.flat = L.Flatten(n.turned)


@case("stem", "depthwise", "expand", "same", "head", trains=False)
def depthwise_types_and_shuffled_channels(n: Any, L: Any, P: Any) -> None:
    n.stem = L.Convolution(source(n, L, 2, 3, 9, 9), num_output=8, kernel_size=3, pad=1)
    n.stem_relu6 = L.ReLU6(n.stem, in_place=True)
    parameters = dict(num_output=8, kernel_size=3, stride=2, bias_term=False)
    n.depthwise = L.DepthwiseConvolution(
        n.stem_relu6, convolution_param=dict(group=8, **parameters)
    )
    top = relu(n, L, batch_norm(n, L, n.depthwise, "depthwise"), "depthwise_relu")
    top = convolution(n, L, top, "expand", 8, kernel_size=1, pad=0, group=2)
    n.shuffled = L.ShuffleChannel(top, shuffle_channel_param=dict(group=2))
    # Its groups are its channels, whatever the file says.
    parameters = dict(num_output=8, kernel_size=3, pad=1, dilation=1)
    n.same = L.ConvolutionDepthwise(n.shuffled, convolution_param=parameters)
    n.sum = L.Eltwise(n.same, n.shuffled)
    loss(n, L, inner_product(n, L, n.sum, "head", 4))


@case("low", "high", "side", "conf", trains=False, inexact=("conf",))
def a_detector_with_normalised_maps_and_prior_boxes(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 3, 16, 16)
    top = relu(n, L, convolution(n, L, data, "low", 8, stride=2), "low_relu")
    high = relu(n, L, convolution(n, L, top, "high", 8, stride=2), "high_relu")
    n.up = L.Upsample(high, upsample_param=dict(scale=2))
    side = convolution(n, L, high, "side", 8, kernel_size=1, pad=0)
    n.reorg = L.Reorg(top, reorg_param=dict(stride=2))
    n.route = L.Concat(n.reorg, side)
    n.norm = L.Normalize(n.route, norm_param=dict(across_spatial=False, channel_shared=False))
    n.conf = L.Convolution(n.norm, num_output=6, kernel_size=3, pad=1)
    n.order = L.Permute(n.conf, permute_param=dict(order=[0, 2, 3, 1]))
    n.flat = L.Flatten(n.order)
    boxes = dict(min_size=[4], max_size=[8], aspect_ratio=[2], variance=[0.1, 0.1, 0.2, 0.2])
    n.prior = L.PriorBox(n.conf, data, prior_box_param=boxes)
    loss(n, L, n.flat)
    loss(n, L, n.up, "loss2")


@case("one", "two", "three", "four", trains=False, inexact=("three", "four"))
def smooth_activations_and_resizing_of_other_caffes(n: Any, L: Any, P: Any) -> None:
    top = convolution(n, L, source(n, L, 2, 3, 6, 7), "one", 8)
    n.clip = L.Clip(top, clip_param=dict(min=-0.5, max=1.5))
    top = convolution(n, L, n.clip, "two", 8, bias_term=False)
    n.two_bn = L.BN(top, bn_param=dict(frozen=True), in_place=True)
    n.swish = L.HardSwish(n.two_bn)
    n.shrunk = L.Interp(n.swish, interp_param=dict(shrink_factor=2))
    n.three = L.Convolution(n.shrunk, num_output=8, kernel_size=1)
    n.gate = L.HardSigmoid(n.three, hard_sigmoid_param=dict(alpha=0.25))
    n.product = L.Eltwise(n.three, n.gate, operation=P.Eltwise.PROD)
    n.four = L.Convolution(n.product, num_output=8, kernel_size=3, pad=1)
    n.large = L.PixelShuffle(n.four, pixel_shuffle_param=dict(upscale_factor=2))
    loss(n, L, n.large)


@case("ip", "ip2")
def data_of_two_axes(n: Any, L: Any, P: Any) -> None:
    data = source(n, L, 2, 12)
    top = relu(n, L, inner_product(n, L, data, "ip", 6), "relu")
    loss(n, L, inner_product(n, L, top, "ip2", 4))


@case("conv", "ip", "after")
def reshapes_that_give_the_batch_size_as_a_number(n: Any, L: Any, P: Any) -> None:
    """The deployable model has another one, and no row holds values of two samples."""
    data = source(n, L, 2, 48)
    n.image = L.Reshape(data, shape=dict(dim=[2, 3, 4, 4]))
    conv = convolution(n, L, n.image, "conv", 4)
    n.rows = L.Reshape(conv, shape=dict(dim=[2, -1]))
    n.image2 = L.Reshape(inner_product(n, L, n.rows, "ip", 32), shape=dict(dim=[2, 2, 4, 4]))
    loss(n, L, convolution(n, L, n.image2, "after", 3))
