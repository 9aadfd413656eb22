"""The types that the lint takes are those that ATC's parser took or refused when it was run."""

from __future__ import annotations

from pathlib import Path

import pytest

from ascend_backend.lint import find
from ascend_backend.lint.layer_types import (
    CONVERTED_TYPES,
    EXTENDED_TYPES,
    PARSER_TYPES,
    QUANTIZATION_TYPES,
    STANDARD_TYPES,
    TRAINING_TYPES,
)
from plugins.ascend_backend.tests.lint.broken_models import Model

REGISTERED = """
    AbsVal AntiQuant ArgMax BNLL BasicRNNCell BatchNorm BatchedMatMul Bias Concat CondTake
    ContinuationIndicator Convolution Correlation Crop DeQuant Deconvolution DepthwiseConvolution
    DequantS16 ELU Eltwise Elu Exp FSRDetectionOutput Flatten InnerProduct LRN LSTM LeakyReLU Log
    MVN MatrixInverse Mish Normalize PReLU PSROIPooling Permute Pooling Power PriorBox Proposal
    Quant RNN ROIAlign ROIPooling RReLU ReLU ReLU6 Reduction Reorg Requant RequantS16 Reverse SPP
    SSDDetectionOutput Scale ShuffleChannel Sigmoid Slice Softmax SpatialTransformer Split TanH
    Threshold Tile Upsample WarpPerspective Yolo YoloV2DetectionOutput YoloV3DetectionOutput
    YoloV3DetectionOutputV2
"""
"""``OriginOpType`` of every plugin in canndev ops/built-in/framework/caffe_plugin, June 2022."""

OF_THE_PARSER = "Input DummyData Reshape Dropout NetOutput"
"""``caffe_op_map`` of hicann/ge parser/parser/common/op_map.cc."""

REFUSED = "Clip Interp SReLU BNInference PassThrough ConvolutionDepthwise DepthwiseConv Swish Embed"
"""For these Ascend's parser of 2021, run with the plugins of 2022, reported E19010."""


def test_the_types_are_those_that_are_registered() -> None:
    assert set(REGISTERED.split()) | set(OF_THE_PARSER.split()) == CONVERTED_TYPES


def test_no_type_is_of_two_kinds() -> None:
    kinds = (PARSER_TYPES, STANDARD_TYPES, EXTENDED_TYPES, QUANTIZATION_TYPES, TRAINING_TYPES)
    assert sum(map(len, kinds)) == len(frozenset().union(*kinds))


def unknown_types(kind: str, folder: Path, custom_ops: tuple[str, ...] = ()) -> list[str]:
    """Return what A014 says where a layer of this type is added."""
    model = Model.whole()
    model.add(f'name: "last" type: "{kind}" bottom: "prob" top: "last"')
    found = find(model.read(folder), custom_ops)
    return [each.problem.message for each in found if each.rule.id == "A014"]


@pytest.mark.parametrize("kind", [*REFUSED.split(), "Tanh"])
def test_a_type_that_the_parser_refused_is_an_error(kind: str, tmp_path: Path) -> None:
    (message,) = unknown_types(kind, tmp_path)
    assert f"'{kind}'" in message
    assert ("it is spelt 'TanH'" in message) == (kind == "Tanh")


@pytest.mark.parametrize("kind", ["Clip", "Swish"])
def test_a_type_with_a_custom_operator_is_none(kind: str, tmp_path: Path) -> None:
    assert unknown_types(kind, tmp_path, ("Clip", "Swish", "AnotherOne")) == []
    assert unknown_types(kind, tmp_path, ("AnotherOne",)) != []


def test_a_custom_operator_excuses_nothing_else(tmp_path: Path) -> None:
    model = Model.whole()
    model.add('name: "la st" type: "Clip" bottom: "prob" top: "last"')
    assert [each.rule.id for each in find(model.read(tmp_path), ["Clip"])] == ["A003"]


def test_silence_has_to_go_for_want_of_a_top(tmp_path: Path) -> None:
    model = Model.whole()
    model.add('name: "last" type: "Silence" bottom: "prob"')
    assert [each.rule.id for each in find(model.read(tmp_path))] == ["A012"]
