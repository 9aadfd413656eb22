"""The argument list, what is refused in it, and what is cautioned against."""

from __future__ import annotations

import re
import shlex

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.errors import ConfigError
from ascend_backend.atc.cautions import cautions
from ascend_backend.atc.command import Conversion, arguments, as_shell, check

CONVERSION = Conversion(
    model="/models/net_deploy_model.prototxt",
    weights="/models/net_deploy_weights.caffemodel",
    output="/models/net",
    soc_version="Ascend310P3",
    input_shape="data:1,3,224,224",
)


def with_extra(*extra: str) -> Conversion:
    return attrs.evolve(CONVERSION, extra=extra)


def test_the_command_is_the_one_of_the_documentation():
    assert as_shell(arguments(with_extra("--log=info"))) == (
        "atc --model=/models/net_deploy_model.prototxt "
        "--weight=/models/net_deploy_weights.caffemodel --framework=0 --output=/models/net "
        "--soc_version=Ascend310P3 --input_shape=data:1,3,224,224 --log=info"
    )


def test_the_map_of_types_is_spelled_as_atc_spells_it():
    listed = arguments(attrs.evolve(with_extra("--log=info"), op_name_map="/models/map.cfg"))
    assert listed[-2:] == ("--op_name_map=/models/map.cfg", "--log=info")


def test_without_shapes_those_of_the_prototxt_count():
    listed = arguments(attrs.evolve(CONVERSION, input_shape=""))
    assert not any("input_shape" in argument for argument in listed)


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_a_shell_splits_the_printed_line_into_the_arguments(extra):
    listed = arguments(with_extra(*extra))
    assert tuple(shlex.split(as_shell(listed))) == listed


@pytest.mark.parametrize(
    "shape",
    ["data:1,3,224,224", "a:1;b:2,3", "a:1;", "a/b-c.d:1", "data:-1,3,1~8,224", "scalar:;x:1"],
)
def test_shapes_as_atc_documents_them_pass(shape):
    check(attrs.evolve(CONVERSION, input_shape=shape))


@pytest.mark.parametrize(
    "shape", ["1,3,224,224", "data=1,3", "data:1x3", "data:1,,3", "a:1;;b:2", "data:1.0", "a: 1"]
)
def test_other_shapes_are_refused_with_an_example(shape):
    with pytest.raises(ConfigError, match="data:1,3,224,224"):
        check(attrs.evolve(CONVERSION, input_shape=shape))


@pytest.mark.parametrize(
    "option", ["--output=x", "--output", "-model=x", "--soc_version=A", "--op_name_map=x"]
)
def test_an_option_that_is_set_already_is_refused(option):
    with pytest.raises(ConfigError, match=f"'{option}'"):
        check(with_extra("--log=info", option))


@pytest.mark.parametrize("option", ["--output_type=FP16", "--input_shape_range=a", "output=x"])
def test_options_that_only_look_like_it_pass(option):
    check(with_extra(option))


def test_there_is_nothing_to_say_about_an_ordinary_conversion():
    assert cautions(with_extra("--log=info", "--precision_mode=force_fp16")) == []


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        (("--dynamic_batch_size=1,2",), "--dynamic_batch_size: .*fixed shapes"),
        (("-dynamic_dims", "1,2"), "--dynamic_dims: .*fixed shapes"),
        (("--precision_mode=force_fp32",), "--precision_mode=force_fp32: high precision"),
        (("--precision_mode_v2", "origin"), "--precision_mode_v2=origin: high precision"),
    ],
)
def test_what_a_quantized_model_cannot_be_combined_with_is_named(extra, named):
    (caution,) = cautions(with_extra(*extra))
    assert re.match(named, caution)


@pytest.mark.parametrize("shape", ["data:-1,3,8,8", "data:1~4,3,8,8"])
def test_an_open_dimension_is_named(shape):
    (caution,) = cautions(attrs.evolve(CONVERSION, input_shape=shape))
    assert caution.startswith("an open dimension in --input-shape")


def test_a_path_that_atc_refuses_is_named_and_a_chinese_one_is_not(tmp_path):
    good, bad = tmp_path / "模型", tmp_path / "my models"
    assert cautions(attrs.evolve(CONVERSION, output=str(good))) == []
    for name in ("output", "op_name_map"):
        (caution,) = cautions(attrs.evolve(CONVERSION, **{name: str(bad)}))
        assert caution.startswith(f"{bad}: ")
