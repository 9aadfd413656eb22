"""Validation: what Caffe would refuse is refused with file, line, layer and field."""

from __future__ import annotations

import pytest

from amct_caffe.model.schema.validation import validate
from amct_core.errors import FileFormatError
from amct_core.textproto import parse


def problem(text: str, type_name: str = "NetParameter") -> FileFormatError:
    """Return the error that ``text`` gives."""
    with pytest.raises(FileFormatError) as caught:
        validate(parse(text, "net.prototxt"), type_name, "net.prototxt")
    return caught.value


LAYER = 'layer {{\n name: "conv1"\n type: "Convolution"\n convolution_param {{ {} }}\n}}'


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ('num_output: "20"', "a non-negative 32-bit integer"),
        ("num_output: 2.5", "a non-negative 32-bit integer"),
        ("num_output: -1", "a non-negative 32-bit integer"),
        ("num_output: 4294967296", "a non-negative 32-bit integer"),
        ("num_output { }", "a non-negative 32-bit integer"),
        ("axis: 2147483648", "a 32-bit integer"),
        ("bias_term: 2", "true or false"),
        ("bias_term: yes", "true or false"),
        ('engine: "CAFFE"', "one of DEFAULT, CAFFE, CUDNN"),
        ("weight_filler: 1", "a message in braces"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_its_place(parameter: str, expected: str) -> None:
    error = problem(LAYER.format(parameter))
    assert error.file == "net.prototxt"
    assert error.layer == "conv1"
    assert error.field == "convolution_param." + parameter.split(":")[0].split(" ")[0]
    assert error.problem.startswith("line 4: found ")
    assert f"expected {expected}" in error.problem


def test_a_nested_field_is_named_by_its_path() -> None:
    error = problem(LAYER.format("weight_filler { std: MAX }"))
    assert error.field == "convolution_param.weight_filler.std"


def test_a_second_value_of_a_field_that_is_not_repeated_is_refused_as_by_caffe() -> None:
    error = problem(LAYER.format("num_output: 1 num_output: 2"))
    assert "second value" in error.problem
    assert error.field == "convolution_param.num_output"


@pytest.mark.parametrize(
    "parameter",
    [
        "kernel_size: 3 kernel_size: 5",
        "num_output: 0x10",
        "engine: 1",
        "engine: MKL2017",
        "engine: 7",
        "bias_term: 1 bias_term_of_another_caffe: 2",
        "weight_filler { std: inf } unknown { num_output: WHATEVER }",
        "weight_filler { value: 1 }",
        "axis: -1",
    ],
)
def test_what_caffe_takes_and_what_it_does_not_know_passes(parameter: str) -> None:
    validate(parse(LAYER.format(parameter)), "NetParameter")


def test_layers_of_the_old_format_are_checked_by_its_own_rules() -> None:
    validate(parse('layers { name: "a" type: CONVOLUTION blobs_lr: 1 }'), "NetParameter")
    error = problem('layers { name: "a" type: "Convolution" }')
    assert error.layer == "a"
    assert "CONVOLUTION" in error.problem


@pytest.mark.parametrize(
    ("text", "type_name"),
    [
        ("solver_mode: TPU", "SolverParameter"),
        ("snapshot_format: 7", "SolverParameter"),
        ('layer { name: "a" type: "ReLU" include { phase: VALIDATION } }', "NetParameter"),
        ('layers { name: "a" type: MY_LAYER }', "NetParameter"),
    ],
)
def test_enum_values_that_always_count_must_be_known(text: str, type_name: str) -> None:
    assert "expected one of" in problem(text, type_name).problem


def test_solvers_are_checked_too() -> None:
    assert problem("max_iter: 1e4", "SolverParameter").field == "max_iter"
    validate(parse("base_lr: 1e-4 solver_mode: GPU test_iter: 1"), "SolverParameter")
