"""Inferred shapes are those that real Caffe gives its blobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from amct_core.graph.shapes import known_shapes
from amct_core.plugins import registries
from amct_core.workflow import frontend_for
from plugins.cpu_sim_backend.tests.layers import cases
from plugins.cpu_sim_backend.tests.layers.drawn import convolutions, few, poolings
from plugins.cpu_sim_backend.tests.layers.one_layer import Case, build, shapes

# Losses, whose shape is that of the others.
NOT_COMPARED = {"ContrastiveLoss", "InfogainLoss", "MultinomialLogisticLoss"}


def assert_like_caffe(caffe: Any, case: Case, folder: Path) -> None:
    built = build(caffe, case, folder)
    graph = frontend_for(built.prototxt, registries()).read(built.prototxt).test
    found = {value.name: shape for value, shape in known_shapes(graph).items()}
    assert found == shapes(caffe, built)


@pytest.mark.caffe
@pytest.mark.parametrize(
    "case", [*cases.SIMULATED, *cases.SHAPES_ONLY], ids=lambda case: case.label
)
def test_inferred_shapes_are_those_of_caffe(caffe: Any, case: Case, tmp_path: Path) -> None:
    assert_like_caffe(caffe, case, tmp_path)


@pytest.mark.caffe
@few
@given(case=poolings())
def test_pooled_shapes_are_those_of_caffe(caffe: Any, case: Case, tmp_path: Path) -> None:
    assert_like_caffe(caffe, case, tmp_path)


@pytest.mark.caffe
@few
@given(case=convolutions())
def test_convolved_shapes_are_those_of_caffe(caffe: Any, case: Case, tmp_path: Path) -> None:
    assert_like_caffe(caffe, case, tmp_path)


@pytest.mark.caffe
@pytest.mark.lacks("PriorBox")
def test_every_rule_for_a_type_that_caffe_has_is_compared(caffe: Any) -> None:
    compared = {case.kind for case in (*cases.SIMULATED, *cases.SHAPES_ONLY)}
    rules = {each.name for each in registries().layer_types if each.shape is not None}
    assert rules & set(caffe.layer_type_list()) - compared == NOT_COMPARED
