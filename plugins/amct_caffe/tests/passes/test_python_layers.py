"""The Python layers that passes insert, and the names that tie their blobs together."""

from __future__ import annotations

import json

import pytest

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt.document import Layer, ParamSpec
from amct_caffe.passes.python_layers import (
    fixed,
    is_python_layer,
    param_str,
    python_layer,
    share_blobs,
    shared_name,
    shares,
)
from amct_caffe.qat.parameters import QuantParameters
from plugins.amct_caffe.tests.passes.networks import batch_norm, normal, scale


def layer_of(text: str) -> Layer:
    (layer,) = documents.from_text(text).layers
    return layer


def text_of(layer: Layer) -> str:
    return documents.NetDocument.create("n", [layer]).format()


def after(text: str) -> str:
    return normal('name: "n"\n' + text)


def test_a_python_layer_names_the_module_the_class_and_what_it_is_told() -> None:
    parameters = QuantParameters(0.5, -3)
    specs = [fixed("amct/a/state"), shares("w")]
    layer = python_layer("a/1-b c", "Quant", ["x"], ["y", "z"], parameters, specs)
    told = param_str(layer)
    assert text_of(layer) == after(
        'layer { name: "a/1-b c" type: "Python" bottom: "x" top: "y" top: "z" '
        'param { name: "amct/a/state" lr_mult: 0 decay_mult: 0 } param { name: "w" } '
        'python_param { module: "amct_caffe.layers" layer: "Quant" '
        f"param_str: {json.dumps(told)} }} }}"
    )
    assert (json.loads(told)["scale"], json.loads(told)["offset"]) == (0.5, -3)


@pytest.mark.parametrize(
    ("module", "kind", "ours"),
    [
        ("amct_caffe.layers", "Quant", True),
        ("amct_caffe.layers", "DeQuant", False),
        ("my.layers", "Quant", False),
    ],
)
def test_ours_are_those_of_our_module_and_the_class(module: str, kind: str, ours: bool) -> None:
    text = (
        'layer { name: "q" type: "Python" '
        f'python_param {{ module: "{module}" layer: "{kind}" }} }}'
    )
    assert is_python_layer(layer_of(text), "Quant") is ours


def test_a_layer_of_another_type_is_not_ours() -> None:
    text = (
        'layer { name: "q" type: "Invented" '
        'python_param { module: "amct_caffe.layers" layer: "Quant" } }'
    )
    assert not is_python_layer(layer_of(text), "Quant")


def test_shared_names_keep_slashes_dashes_and_spaces() -> None:
    assert shared_name("res2/branch-1 a", "scale_w") == "amct/res2/branch-1 a/scale_w"


class TestShareBlobs:
    def test_blobs_without_names_get_them(self) -> None:
        layer = layer_of(scale("s", "x"))
        assert share_blobs(layer, 2) == [shares("amct/s/blob0"), shares("amct/s/blob1")]
        assert text_of(layer) == after(
            'layer { name: "s" type: "Scale" bottom: "x" top: "s" scale_param { bias_term: true } '
            'param { name: "amct/s/blob0" } param { name: "amct/s/blob1" } }'
        )

    def test_the_users_names_multipliers_and_unknown_fields_stay(self) -> None:
        specs = 'param { name: "gamma" lr_mult: 3 } param { lr_mult: 2 odd: 1 }'
        layer = layer_of(scale("s", "x", extra=specs))
        assert share_blobs(layer, 2) == [shares("gamma"), shares("amct/s/blob1")]
        named = (
            'param { name: "gamma" lr_mult: 3 } param { name: "amct/s/blob1" lr_mult: 2 odd: 1 }'
        )
        assert text_of(layer) == after(scale("s", "x", extra=named))

    def test_only_the_first_blobs_asked_for_are_named(self) -> None:
        specs = "param { lr_mult: 3 } param { lr_mult: 2 }"
        layer = layer_of(scale("s", "x", extra=specs))
        assert share_blobs(layer, 1) == [shares("amct/s/blob0")]
        named = 'param { name: "amct/s/blob0" lr_mult: 3 } param { lr_mult: 2 }'
        assert text_of(layer) == after(scale("s", "x", extra=named))

    def test_statistics_of_a_batch_norm_that_gave_no_specs_stay_untrained(self) -> None:
        layer = layer_of(batch_norm("bn", "x"))
        share_blobs(layer, 3)
        assert layer.param_specs == [
            ParamSpec(name=f"amct/bn/blob{index}", lr_mult=0.0) for index in range(3)
        ]
