"""Inferred shapes are those that real Caffe gives its blobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amct_core.graph.shape_rules import RULES
from amct_core.graph.shapes import known_shapes
from amct_core.plugins import registries
from amct_core.workflow import frontend_for
from plugins.cpu_sim_backend.tests.layers import cases
from plugins.cpu_sim_backend.tests.layers.one_layer import Case, build, shapes

# What Caffe does not have, or not in every version, or what has the shape of its input.
NOT_COMPARED = {"Clip", "ContrastiveLoss", "DeQuant", "Quant", "ReLU6"}

few = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


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


@st.composite
def poolings(draw: Any) -> Case:
    """Draw a pooling that Caffe accepts: its padding is smaller than its kernel."""
    sides = {}
    size = []
    for side in "hw":
        kernel = draw(st.integers(1, 5))
        sides[f"kernel_{side}"] = kernel
        sides[f"stride_{side}"] = draw(st.integers(1, kernel))
        sides[f"pad_{side}"] = draw(st.integers(0, kernel - 1))
        size.append(draw(st.integers(kernel, 12)))
    parameters = {"pool": draw(st.integers(0, 1)), "round_mode": draw(st.integers(0, 1)), **sides}
    return Case("Pooling", ((1, 2, *size),), {"pooling_param": parameters})


@st.composite
def convolutions(draw: Any) -> Case:
    """Draw a convolution or deconvolution whose output is not empty."""
    parameters = {name: [] for name in ("kernel_size", "stride", "pad", "dilation")}
    size = []
    for _ in range(draw(st.integers(1, 3))):
        kernel, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        extent = dilation * (kernel - 1) + 1
        parameters["kernel_size"].append(kernel)
        parameters["dilation"].append(dilation)
        parameters["stride"].append(draw(st.integers(1, 3)))
        parameters["pad"].append(draw(st.integers(0, (extent - 1) // 2)))
        size.append(draw(st.integers(extent, 11)))
    kind = draw(st.sampled_from(["Convolution", "Deconvolution"]))
    parameter = {"num_output": 4, "group": draw(st.sampled_from([1, 2])), **parameters}
    return Case(kind, ((1, 2, *size),), {"convolution_param": parameter})


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


def test_every_rule_is_compared() -> None:
    compared = {case.kind for case in (*cases.SIMULATED, *cases.SHAPES_ONLY)}
    assert set(RULES) - compared == NOT_COMPARED
