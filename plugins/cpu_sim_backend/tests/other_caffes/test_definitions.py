"""Float layers of other Caffes: values that follow from their public definitions.

What is taken from a public network or manual says so.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, Tuple

import numpy as np
import pytest

from amct_core.errors import ModelError
from amct_core.graph.nonnegative import sign_of
from amct_core.graph.shapes import known_shapes
from plugins.cpu_sim_backend.tests.other_caffes.one_float_layer import graph, run


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def computed(body: str, x: Any, *others: np.ndarray, weights: Tuple[Any, ...] = ()) -> np.ndarray:
    return run("reference", body, np.asarray(x, np.float32), *others, weights=weights)


class TestLimits:
    def test_relu6_cuts_at_0_and_6(self) -> None:
        found = computed('type: "ReLU6"', row(-1, 0, 3, 6, 7))
        np.testing.assert_array_equal(found, row(0, 0, 3, 6, 6))

    def test_clip_cuts_at_its_limits_and_makes_the_lower_one_of_nan(self) -> None:
        """As ``std::max(min, std::min(x, max))`` does."""
        found = computed(
            'type: "Clip" clip_param { min: -2 max: 1 }', row(-3, -2, 0.5, 4, math.nan)
        )
        np.testing.assert_array_equal(found, row(-2, -2, 0.5, 1, -2))

    def test_hard_sigmoid_has_onnxs_defaults(self) -> None:
        found = computed('type: "HardSigmoid"', row(-3, -2.5, 0, 1, 2.5, 3))
        np.testing.assert_allclose(found, row(0, 0, 0.5, 0.7, 1, 1), rtol=1e-6)

    def test_hard_swish_is_that_of_mobilenet_v3(self) -> None:
        found = computed('type: "HardSwish"', row(-4, -3, -1, 0, 1, 3, 5))
        np.testing.assert_allclose(found, row(0, 0, -1 / 3, 0, 2 / 3, 3, 5), rtol=1e-6)


class TestResampling:
    def test_upsample_repeats_each_value(self) -> None:
        x = np.array([[[[1, 2], [3, 4]]]], np.float32)
        expected = [[[[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]]]
        for parameters in ("scale: 2", "stride: 2", "scale: 1 stride: 2", ""):
            body = f'type: "Upsample" upsample_param {{ {parameters} }}'
            np.testing.assert_array_equal(computed(body, x), expected, parameters)

    def test_beside_a_stride_scale_is_a_factor_of_the_values(self) -> None:
        """The manual of ATC: scale is each value's factor, stride that of the size."""
        x = np.array([[[[1, 2]]]], np.float32)
        found = computed('type: "Upsample" upsample_param { scale: 3 stride_h: 1 stride_w: 2 }', x)
        np.testing.assert_array_equal(found, [[[[3, 3, 6, 6]]]])

    def test_interp_puts_corners_on_corners(self) -> None:
        x = np.array([[[[0, 3], [6, 9]]]], np.float32)
        found = computed('type: "Interp" interp_param { height: 3 width: 4 }', x)
        expected = [[[[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]]]
        np.testing.assert_allclose(found, expected, rtol=1e-6)

    @pytest.mark.parametrize(
        ("parameters", "size", "expected"),
        [
            ("zoom_factor: 8", 60, 473),  # conv6_interp of PSPNet
            ("zoom_factor: 2", 33, 65),  # of ICNet, for 1025 x 2049
            ("shrink_factor: 2", 1025, 513),
            ("height: 60 width: 60", 1, 60),  # the pyramid of PSPNet
            ("zoom_factor: 8 pad_beg: -1 pad_end: -1", 41, 305),
            ("shrink_factor: 2 zoom_factor: 3 height: 5 width: 5", 9, 5),
            ("zoom_factor: 3 height: 5 width: 5", 9, 25),
        ],
    )
    def test_the_size_of_interp(self, parameters: str, size: int, expected: int) -> None:
        network = graph(f'type: "Interp" interp_param {{ {parameters} }}', (2, 3, size, size))
        found = known_shapes(network)[network.node("y").outputs[0]]
        assert found == (2, 3, expected, expected)

    def test_a_second_bottom_gives_the_size(self) -> None:
        network = graph('type: "Interp"', (2, 3, 4, 5), (2, 7, 11, 13))
        assert known_shapes(network)[network.node("y").outputs[0]] == (2, 3, 11, 13)

    def test_interp_of_the_same_size_changes_nothing(self) -> None:
        x = np.random.default_rng(0).standard_normal((1, 2, 3, 4)).astype(np.float32)
        found = computed('type: "Interp" interp_param { height: 3 width: 4 }', x)
        np.testing.assert_array_equal(found, x)


def darknet_reorg(x: np.ndarray, stride: int, reverse: bool) -> np.ndarray:
    """Return Darknet's reorg of one sample, place by place."""
    channels, height, width = x.shape
    fewer = channels // stride**2
    given, found = x.reshape(-1), np.empty(x.size, np.float32)
    for k, j, i in itertools.product(range(channels), range(height), range(width)):
        here = i + width * (j + height * k)
        row_ = j * stride + (k // fewer) // stride
        column = i * stride + (k // fewer) % stride
        there = column + width * stride * (row_ + height * stride * (k % fewer))
        if reverse:
            found[there] = given[here]
        else:
            found[here] = given[there]
    return found


class TestShuffling:
    def test_four_channels_in_two_groups_change_the_middle_ones(self) -> None:
        """The example of the manual of ATC."""
        found = computed(
            'type: "ShuffleChannel" shuffle_channel_param { group: 2 }', row(0, 1, 2, 3)
        )
        np.testing.assert_array_equal(found, row(0, 2, 1, 3))

    def test_pixel_shuffle_makes_a_square_of_four_channels(self) -> None:
        x = np.arange(8, dtype=np.float32).reshape(1, 8, 1, 1)
        found = computed('type: "PixelShuffle" pixel_shuffle_param { upscale_factor: 2 }', x)
        np.testing.assert_array_equal(found, [[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]])

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("stride", [2, 3])
    def test_reorg_is_darknets(self, stride: int, reverse: bool) -> None:
        shape = (2, 2 * stride**2, stride * 2, stride * 4)
        x = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
        body = f'type: "Reorg" reorg_param {{ stride: {stride} reverse: {str(reverse).lower()} }}'
        found = computed(body, x)
        for own, sample in zip(found, x):
            np.testing.assert_array_equal(own.reshape(-1), darknet_reorg(sample, stride, reverse))

    def test_the_reorg_of_yolo_v2_makes_256_channels_of_64(self) -> None:
        network = graph('type: "Reorg" reorg_param { stride: 2 }', (1, 64, 26, 26))
        assert known_shapes(network)[network.node("y").outputs[0]] == (1, 256, 13, 13)

    @pytest.mark.parametrize(
        ("body", "shape"),
        [
            ('type: "ShuffleChannel" shuffle_channel_param { group: 3 }', (1, 8, 2, 2)),
            ('type: "PixelShuffle" pixel_shuffle_param { upscale_factor: 2 }', (1, 6, 2, 2)),
            ('type: "Reorg" reorg_param { stride: 2 }', (1, 6, 2, 2)),
            ('type: "Reorg" reorg_param { stride: 2 }', (1, 4, 3, 2)),
        ],
    )
    def test_what_cannot_be_divided_is_named(self, body: str, shape: Tuple[int, ...]) -> None:
        with pytest.raises(ModelError, match=r"'y'.*expected a multiple of"):
            computed(body, np.zeros(shape))


class TestNormalization:
    def test_normalize_divides_by_the_length_over_the_channels(self) -> None:
        """With SSD's scale of 20: the vector (3, 4) has length 5."""
        x = np.array([3, 4], np.float32).reshape(1, 2, 1, 1)
        body = 'type: "Normalize" norm_param { across_spatial: false channel_shared: false }'
        found = computed(body, x, weights=([20, 10],))
        np.testing.assert_allclose(found.reshape(-1), [12, 8], rtol=1e-6)

    def test_across_spatial_takes_the_whole_sample(self) -> None:
        x = np.array([[[[2, 4]], [[5, 6]]], [[[0, 0]], [[0, 3]]]], np.float32)
        found = computed('type: "Normalize"', x, weights=([1],))
        np.testing.assert_allclose(found[0].reshape(-1), np.array([2, 4, 5, 6]) / 9, rtol=1e-6)
        np.testing.assert_allclose(found[1].reshape(-1), [0, 0, 0, 1], rtol=1e-6)

    def test_normalize_of_zeros_is_zero(self) -> None:
        found = computed('type: "Normalize"', np.zeros((1, 2, 3, 3)), weights=([20],))
        np.testing.assert_array_equal(found, 0)

    def test_bn_has_scale_shift_mean_and_variance(self) -> None:
        blobs = tuple(np.float32([[[[v]]]]) for v in (3, 1, 2, 15.99))
        body = 'type: "BN" bn_param { frozen: true eps: 0.01 }'
        found = computed(body, np.full((1, 1, 1, 1), 10), weights=blobs)
        np.testing.assert_allclose(found.reshape(-1), [(10 - 2) / 4 * 3 + 1], rtol=1e-6)

    def test_the_bn_of_segnet_has_scale_and_shift(self) -> None:
        blobs = tuple(np.float32([[[[v]]]]) for v in (3, 1))
        body = 'type: "BN" bn_param { bn_mode: INFERENCE scale_filler { type: "constant" } }'
        found = computed(body, np.full((1, 1, 2, 2), 10), weights=blobs)
        np.testing.assert_array_equal(found, 31)


SSD_300 = [
    (38, "min_size: 30 max_size: 60 aspect_ratio: 2 step: 8"),
    (19, "min_size: 60 max_size: 111 aspect_ratio: 2 aspect_ratio: 3 step: 16"),
    (10, "min_size: 111 max_size: 162 aspect_ratio: 2 aspect_ratio: 3 step: 32"),
    (5, "min_size: 162 max_size: 213 aspect_ratio: 2 aspect_ratio: 3 step: 64"),
    (3, "min_size: 213 max_size: 264 aspect_ratio: 2 step: 100"),
    (1, "min_size: 264 max_size: 315 aspect_ratio: 2 step: 300"),
]
"""Feature maps and parameters of the public SSD300."""

SSD = "flip: true clip: false offset: 0.5 variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2"


def boxes(parameters: str, size: int, image: int, batch: int = 1) -> np.ndarray:
    """Return the boxes, one row of corners each, and check what does not depend on them."""
    maps, images = np.zeros((batch, 4, size, size)), np.zeros((batch, 3, image, image), np.float32)
    found = computed(f'type: "PriorBox" prior_box_param {{ {parameters} }}', maps, images)
    assert found.shape[:2] == (1, 2)
    assert found.dtype == np.float32
    return found[0].reshape(2, -1, 4)


class TestPriorBox:
    def test_ssd_300_has_8732_boxes(self) -> None:
        """W. Liu et al., "SSD: Single Shot MultiBox Detector" (2016), section 3.3."""
        count = 0
        for size, parameters in SSD_300:
            body = f'type: "PriorBox" prior_box_param {{ {parameters} {SSD} }}'
            network = graph(body, (1, 4, size, size), (1, 3, 300, 300))
            count += known_shapes(network)[network.node("y").outputs[0]][2] // 4
        assert count == 8732

    def test_the_boxes_of_the_first_place(self) -> None:
        """Centre (4, 4); 30 x 30, then the root of 30 * 60, then 2:1 and 1:2."""
        corners, variances = boxes(f"{SSD_300[0][1]} {SSD}", 38, 300)
        large, wide, narrow = math.sqrt(30 * 60), 30 * math.sqrt(2), 30 / math.sqrt(2)
        sides = [(30, 30), (large, large), (wide, narrow), (narrow, wide)]
        expected = [(4 - w / 2, 4 - h / 2, 4 + w / 2, 4 + h / 2) for w, h in sides]
        np.testing.assert_allclose(corners[:4], np.array(expected) / 300, rtol=1e-5)
        np.testing.assert_array_equal(variances, np.float32([[0.1, 0.1, 0.2, 0.2]] * 5776))

    def test_places_follow_row_by_row(self) -> None:
        corners, _ = boxes("min_size: 10 step: 8", 3, 24)
        centres = (corners[:, :2] + corners[:, 2:]) / 2 * 24
        expected = [(4 + 8 * x, 4 + 8 * y) for y in range(3) for x in range(3)]
        np.testing.assert_allclose(centres, expected, rtol=1e-6)

    def test_the_batch_size_does_not_matter(self) -> None:
        parameters = f"{SSD_300[4][1]} {SSD}"
        np.testing.assert_array_equal(boxes(parameters, 3, 300), boxes(parameters, 3, 300, batch=5))

    def test_sizes_lose_their_fractions_and_clipped_boxes_stay_inside(self) -> None:
        corners, variances = boxes("min_size: 16.9 clip: true", 1, 32)
        np.testing.assert_array_equal(corners, [[0.25, 0.25, 0.75, 0.75]])
        np.testing.assert_array_equal(variances, np.float32(0.1))
        inside, _ = boxes("min_size: 90 clip: true", 1, 32)
        np.testing.assert_array_equal(inside, [[0, 0, 1, 1]])

    def test_a_ratio_that_is_there_already_is_not_added_again(self) -> None:
        corners, _ = boxes("min_size: 8 aspect_ratio: 1 aspect_ratio: 2 aspect_ratio: 0.5", 1, 32)
        assert len(corners) == 3

    def test_the_image_and_the_step_may_be_given(self) -> None:
        body = (
            'type: "PriorBox" prior_box_param { min_size: 10 img_h: 50 img_w: 100 '
            "step_h: 20 step_w: 40 offset: 0 }"
        )
        found = computed(body, np.zeros((1, 1, 1, 2)))
        corners = found[0, 0].reshape(-1, 4)
        np.testing.assert_allclose(corners, [[-0.05, -0.1, 0.05, 0.1], [0.35, -0.1, 0.45, 0.1]])

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ("max_size: 3", "0 minimal and 1 maximal"),
            ("min_size: 1 min_size: 2 max_size: 3", "2 minimal and 1 maximal"),
            ("min_size: 1 variance: 0.1 variance: 0.2", "expected 1 or 4"),
        ],
    )
    def test_what_caffe_refuses_is_named(self, parameters: str, message: str) -> None:
        with pytest.raises(ModelError, match=message):
            boxes(parameters, 1, 32)


@pytest.mark.parametrize(
    ("body", "nonnegative"),
    [
        ('type: "ReLU6"', True),
        ('type: "Clip" clip_param { min: 0 max: 6 }', True),
        ('type: "Clip" clip_param { min: -1 max: 6 }', False),
        ('type: "HardSigmoid"', True),
        ('type: "HardSwish"', False),
        ('type: "Upsample" upsample_param { scale: 2 }', False),
    ],
)
def test_whether_an_output_can_be_negative(body: str, nonnegative: bool) -> None:
    network = graph(body, (1, 4, 2, 2))
    assert sign_of(network, network.node("y").outputs[0]).nonnegative == nonnegative


def test_another_layer_of_the_same_name_is_not_simulated() -> None:
    """SegNet's Upsample reads the places of the maxima."""
    x = np.zeros((1, 2, 3, 3), np.float32)
    with pytest.raises(ModelError, match=r"'y'.*another Caffe's Upsample"):
        computed('type: "Upsample" upsample_param { scale: 2 }', x, x)


def test_minus_zero_is_kept_as_by_std_min_and_max() -> None:
    """Compared bit for bit: only where the lower limit equals it, Clip gives that limit."""
    x = row(-0.0, 0.0)
    assert np.signbit(computed('type: "ReLU6"', x)).tolist() == [[True, False]]
    for low, expected in ((-1, [[True, False]]), (0, [[False, False]])):
        body = f'type: "Clip" clip_param {{ min: {low} max: 6 }}'
        assert np.signbit(computed(body, x)).tolist() == expected
