"""A layer of another Caffe is known by its parameters, not by the name of its type alone."""

from __future__ import annotations

import pytest

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.model.integer_layer import plain_layer
from amct_caffe.model.layer_type import (
    attributes_of,
    expected_blobs,
    layer_type,
    needs_weights,
)
from amct_core.graph.attributes import Convolution, Opaque


def layer(body: str, bottoms: int = 1) -> Layer:
    read = " ".join(f'bottom: "x{index}"' for index in range(bottoms))
    text = f'layer {{ name: "y" top: "y" {read} {body} }}'
    (found,) = documents.from_text(text).layers
    return found


@pytest.mark.parametrize(
    ("body", "bottoms"),
    [
        ('type: "Upsample" upsample_param { scale: 2 }', 2),  # SegNet's, by a mask
        ('type: "Upsample" upsample_param { upsample_h: 45 upsample_w: 60 }', 1),
        ('type: "Upsample" upsample_param { scale: 0.5 }', 1),
        ('type: "Upsample" upsample_param { scale: 2.5 }', 1),
        ('type: "PixelShuffle" pixel_shuffle_param { scale: 4 }', 1),
        ('type: "PixelShuffle"', 1),
        ('type: "Clip" clip_param { min: 0 }', 1),
        ('type: "HardSwish" hard_swish_param { alpha: 0.2 }', 1),
        ('type: "Reorg" reorg_param { stride_h: 2 stride_w: 2 }', 1),
        ('type: "Interp" interp_param { type: NEAREST height: 4 width: 4 }', 1),
        ('type: "Interp"', 1),
        ('type: "Interp" interp_param { height: 4 width: 4 pad_beg: 1 }', 1),
        ('type: "Normalize" norm_param { axis: 1 }', 1),
        ('type: "BN" bn_param { bn_mode: LEARN }', 1),
        ('type: "BN" bn_param { bn_mode: CORRECT }', 1),
        ('type: "BN" bn_param { moving_average: true }', 1),
        ('type: "ReLU6" relu_param { negative_slope: 0.1 }', 1),
        ('type: "PriorBox" prior_box_param { min_size: 3 density: 2 }', 2),
    ],
)
def test_with_other_parameters_it_is_a_layer_that_nobody_declares(body: str, bottoms: int) -> None:
    found = layer(body, bottoms)
    assert not layer_type(found).is_known
    assert layer_type(found).name == found.type
    assert attributes_of(found) == Opaque()


class TestDepthwiseConvolution:
    """Types that compute what a Convolution with as many groups as channels computes."""

    PARAMETERS = "num_output: 8 kernel_size: 3 pad: 1 stride: 2 bias_term: false"

    @pytest.mark.parametrize(
        ("kind", "more", "group"),
        [
            ("DepthwiseConvolution", "", 8),
            ("DepthwiseConvolution", "group: 4", 4),
            ("ConvolutionDepthwise", "", 8),
            ("ConvolutionDepthwise", "group: 4", 8),
        ],
    )
    def test_the_groups_are_those_that_the_layer_has(
        self, kind: str, more: str, group: int
    ) -> None:
        found = layer(f'type: "{kind}" convolution_param {{ {self.PARAMETERS} {more} }}')
        a = attributes_of(found)
        assert isinstance(a, Convolution)
        assert (a.num_output, a.kernel, a.stride, a.group) == (8, (3, 3), (2, 2), group)
        plain = plain_layer(found)
        assert (plain.type, plain.name, plain.bottoms) == ("Convolution", "y", ["x0"])
        assert attributes_of(plain) == a
        assert found.type == kind

    @pytest.mark.parametrize("kind", ["DepthwiseConvolution", "ConvolutionDepthwise"])
    def test_it_is_known_as_a_convolution_is(self, kind: str) -> None:
        own = layer_type(layer(f'type: "{kind}" convolution_param {{ num_output: 8 }}'))
        convolution = layer_type(layer('type: "Convolution"'))
        for part in ("quantization", "weights", "folds_batch_norm", "run", "accumulate", "onnx"):
            assert getattr(own, part) == getattr(convolution, part), part


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ('type: "BN" bn_param { frozen: true }', 4),
        ('type: "BN" bn_param { bn_mode: INFERENCE }', 2),
        ('type: "Normalize" norm_param { channel_shared: false }', 1),
        ('type: "PriorBox" prior_box_param { min_size: 3 }', 0),
    ],
)
def test_weights_that_are_missing_are_known_before_training(body: str, count: int) -> None:
    expected = expected_blobs(layer(body))
    assert len(expected or ()) == count
    assert needs_weights(layer(body)) == (count > 0)


def test_a_size_of_darknets_upsample_is_written_as_ascends_stride() -> None:
    """ATC would take it for a factor of the values."""
    for parameters, expected in (
        ("scale: 2", {"scale": 1, "stride": 2}),
        ("stride_h: 3 stride_w: 2", {"scale": 1, "stride_h": 3, "stride_w": 2}),
        ("scale: 0.5 stride: 2", {"scale": 0.5, "stride": 2}),
    ):
        found = layer(f'type: "Upsample" upsample_param {{ {parameters} }}')
        plain = plain_layer(found)
        message = plain.parameters("upsample_param")
        assert {e.name: message.number(e.name) for e in message} == expected
        assert attributes_of(plain) == attributes_of(found)
