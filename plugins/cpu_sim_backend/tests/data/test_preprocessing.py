"""A declared preprocessing: what it computes, and how a wrong declaration is refused."""

from __future__ import annotations

import json
from typing import Any, Dict, Optional

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.errors import ConfigError, ModelError
from amct_core.extensions.frontend import ImageTransform
from cpu_sim_backend.data.preprocessing import ExactSize, Preprocessing, ShortSide, parse

MINIMAL: Dict[str, Any] = {"channels": "BGR"}


def declared(**changes: Any) -> Preprocessing:
    return parse(json.dumps({**MINIMAL, **changes}), "pre.json")


def pixels(height: int, width: int, channels: int = 3) -> np.ndarray:
    generator = np.random.default_rng(height * 1000 + width)
    return generator.integers(0, 256, (channels, height, width)).astype(np.uint8)


def test_without_numbers_pixels_stay_as_they_are() -> None:
    image = declared().normalized(pixels(4, 5))
    assert (image.dtype, image.shape) == (np.float32, (3, 4, 5))
    np.testing.assert_array_equal(image, pixels(4, 5))


def test_mean_and_scale_are_float32_one_after_the_other() -> None:
    found = declared(mean=[104.1, 117, 123.7], scale=0.017).normalized(pixels(4, 5))
    for channel, mean in enumerate((104.1, 117, 123.7)):
        for row, column in np.ndindex(4, 5):
            pixel = np.float32(pixels(4, 5)[channel, row, column])
            centered = np.float32(pixel - np.float32(mean))
            assert found[channel, row, column] == np.float32(centered * np.float32(0.017))


def test_std_divides() -> None:
    found = declared(mean=[1, 2, 3], std=[2, 4, 8]).normalized(pixels(2, 2))
    expected = (pixels(2, 2).astype(np.float64).T - [1, 2, 3]).T / np.reshape([2, 4, 8], (3, 1, 1))
    np.testing.assert_array_equal(found, expected)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_the_crop_leaves_as_much_before_it_as_behind_or_one_less(
    crop_height: int, crop_width: int, more_rows: int, more_columns: int
) -> None:
    image = pixels(crop_height + more_rows, crop_width + more_columns)
    found = declared(crop={"width": crop_width, "height": crop_height}).normalized(image)
    top, left = more_rows // 2, more_columns // 2
    np.testing.assert_array_equal(
        found, image[:, top : top + crop_height, left : left + crop_width]
    )


def test_a_mean_image_is_cropped_with_the_image() -> None:
    mean = np.arange(48, dtype=np.float32).reshape(3, 4, 4)
    preprocessing = Preprocessing("BGR", crop=(2, 2), mean=mean)
    found = preprocessing.normalized(np.full((3, 4, 4), 50, np.uint8))
    np.testing.assert_array_equal(found, 50 - mean[:, 1:3, 1:3])


@pytest.mark.parametrize("crop", [None, (2, 2)])
def test_a_mean_image_of_another_size_is_refused(crop: Any) -> None:
    preprocessing = Preprocessing("BGR", crop=crop, mean=np.zeros((3, 4, 4), np.float32))
    with pytest.raises(ModelError, match="5 x 4 before the crop, and the mean image 4 x 4"):
        preprocessing.normalized(pixels(4, 5))


def test_an_image_below_the_crop_is_refused() -> None:
    with pytest.raises(ModelError, match="5 x 4 before the crop of 5 x 6"):
        declared(crop={"width": 5, "height": 6}).normalized(pixels(4, 5))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((500, 375), (341, 256)),
        ((375, 500), (256, 341)),
        ((7, 7), (256, 256)),
        ((3, 2), (384, 256)),
    ],
)
def test_the_short_side_gets_its_pixels_and_the_other_is_rounded_down(
    size: Any, expected: Any
) -> None:
    assert declared(resize={"short_side": 256}).resize == ShortSide(256)
    assert declared(resize={"short_side": 256}).size(*size) == expected


def test_an_exact_size_is_that_of_every_image() -> None:
    preprocessing = declared(resize={"width": 30, "height": 20}, filter="bicubic")
    assert preprocessing.resize == ExactSize(30, 20)
    assert preprocessing.filter == "bicubic"
    assert preprocessing.size(7, 9) == (30, 20)


SQUARE = {"width": 2, "height": 2}
WRONG = [
    ({"chanels": "RGB"}, "chanels", "Did you mean 'channels'"),
    ({"channels": "BGRA"}, "channels", "'BGRA'; expected one of BGR, RGB, GRAY"),
    ({"channels": 3}, "channels", "expected a string"),
    ({"input": 3}, "input", "expected a string"),
    ({"resize": 256}, "resize", "expected an object"),
    ({"resize": {}}, "resize.width", "missing"),
    ({"resize": {"width": 5}}, "resize.height", "missing"),
    ({"resize": {"short_side": 0}}, "resize.short_side", "above 0"),
    ({"resize": {"short_side": 2.5}}, "resize.short_side", "expected an integer"),
    ({"resize": {"short_side": True}}, "resize.short_side", "expected an integer"),
    ({"resize": {"short_side": 2, "width": 2}}, "resize.short_side", "so is a width"),
    ({"resize": {"long_side": 2}}, "resize.long_side", "unknown key"),
    ({"filter": "cubic", "resize": SQUARE}, "filter", "'cubic'; expected one of nearest"),
    ({"filter": "box"}, "filter", "nothing is resized"),
    ({"crop": {"width": 3}}, "crop.height", "missing"),
    ({"crop": {"width": 3, "height": -1}}, "crop.height", "above 0"),
    ({"mean": 104}, "mean", "a list of 3 numbers"),
    ({"mean": [104]}, "mean", "a list of 3 numbers"),
    ({"mean": [104, 117, "x"]}, "mean", "a list of 3 numbers"),
    ({"mean": [104, 117, True]}, "mean", "a list of 3 numbers"),
    ({"mean": [1, 2, float("nan")]}, "mean", "a list of 3 numbers"),
    ({"mean": [1, 2, 3], "channels": "GRAY"}, "mean", "a list of 1 numbers"),
    ({"scale": 0}, "scale", "other than 0"),
    ({"scale": float("inf")}, "scale", "finite"),
    ({"std": [1, 0, 1]}, "std", "above 0"),
    ({"std": [1, 1, 1], "scale": 2}, "std", "so is scale"),
    ({"transform": "caffe"}, "transform", "expected 'network'"),
    ({"transform": "network", "scale": 2}, "scale", "takes it from the network"),
    ({"transform": "network"}, "transform", "no network here"),
]


@pytest.mark.parametrize(("changes", "field", "message"), WRONG, ids=lambda x: str(x)[:40])
def test_a_wrong_declaration_names_file_and_field(
    changes: Dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        declared(**changes)
    assert (caught.value.file, caught.value.field) == ("pre.json", field)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1, column 2: not valid JSON"),
        ("[]", "it holds a list; expected an object"),
        ('{"channels": "RGB", "channels": "BGR"}', "the key is there twice"),
        ("{}", "field 'channels': it is missing; expected one of BGR, RGB, GRAY"),
    ],
)
def test_what_is_no_declaration_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse(text, "pre.json")
    assert caught.value.file == "pre.json"


class TestTransformOfTheNetwork:
    """``"transform": "network"``: what the data layer does, beside a resize of one's own."""

    network = ImageTransform("BGR", 5, np.float32([[[1]], [[2]], [[3]]]), 0.5)

    def parsed(self, network: ImageTransform, **changes: Any) -> Preprocessing:
        asked: list[Optional[str]] = []

        def transform_of(blob: Optional[str]) -> ImageTransform:
            asked.append(blob)
            return network

        text = json.dumps({"transform": "network", **changes})
        found = parse(text, "pre.json", transform_of)
        assert asked == [changes.get("input")]
        return found

    @pytest.mark.parametrize("blob", [{}, {"input": "left"}])
    def test_crop_mean_and_scale_are_the_networks(self, blob: Dict[str, str]) -> None:
        found = self.parsed(self.network, resize={"short_side": 8}, **blob)
        assert (found.channels, found.crop, found.scale) == ("BGR", (5, 5), 0.5)
        assert found.resize == ShortSide(8)
        np.testing.assert_array_equal(found.mean, self.network.mean)

    def test_channels_may_be_declared_and_must_be_where_the_network_does_not_say(self) -> None:
        assert self.parsed(self.network, channels="RGB").channels == "RGB"
        with pytest.raises(ConfigError, match="'channels': it is missing"):
            self.parsed(ImageTransform())

    def test_one_mean_is_for_all_channels(self) -> None:
        found = self.parsed(ImageTransform("BGR", mean=np.float32([[[7]]])))
        np.testing.assert_array_equal(found.normalized(pixels(2, 3)), pixels(2, 3) - np.float32(7))

    def test_means_of_other_channels_are_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"'channels': it is 'GRAY'.*means of 3 channels"):
            self.parsed(self.network, channels="GRAY")
