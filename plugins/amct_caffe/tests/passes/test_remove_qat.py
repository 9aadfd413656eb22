"""RemoveQat, rule by rule."""

from __future__ import annotations

import numpy as np
import pytest

from amct_caffe.model.network import CaffeNetwork
from amct_caffe.passes.insert_activation_qat import InsertActivationQat
from amct_caffe.passes.insert_shift_search import InsertShiftSearch
from amct_caffe.passes.insert_weight_qat import InsertWeightQat
from amct_caffe.passes.remove_qat import RemoveQat
from amct_core.graph import run_passes
from amct_core.plugins import registries
from plugins.amct_caffe.tests.passes.networks import (
    BATCH_NORM,
    CONV,
    INPUT,
    SCALE,
    TEST,
    TRAIN,
    UNKNOWN,
    batch_norm,
    conv,
    network,
    normal,
    plan_of,
    relu,
    scale,
    text_of,
)

NAME = "res2/branch-1 a"
SHAPES = {"a": CONV, "b": CONV, "c": CONV, NAME: CONV, "bn": BATCH_NORM, "scale": SCALE}
SPECS = "param { lr_mult: 2 decay_mult: 1 } param { lr_mult: 4 decay_mult: 0 }"
SHARED = 'param { name: "w" share_mode: STRICT } param { name: "b" lr_mult: 2 }'
SUM = 'layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }\n'


def inserted(state: CaffeNetwork) -> CaffeNetwork:
    plan = plan_of(state)
    return run_passes(
        state,
        [
            InsertActivationQat(plan),
            InsertWeightQat(plan, registries().weight_algorithms),
            InsertShiftSearch(plan),
        ],
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(conv("a", "data"), id="one layer without specs"),
        pytest.param(conv("a", "data", extra=SPECS), id="multipliers"),
        pytest.param(conv(NAME, "data"), id="name of several words"),
        pytest.param(conv("a", "data") + conv("b", "data") + SUM, id="siblings"),
        pytest.param(
            conv("a", "data", "x") + relu("r1", "x") + relu("r2", "x") + conv("b", "x"),
            id="chain in place",
        ),
        pytest.param(
            conv("a", "data", extra=SHARED) + conv("b", "a", extra=SHARED), id="shared weights"
        ),
        pytest.param(
            conv("a", "data", extra=TRAIN + SPECS) + conv("a", "data", extra=TEST + SPECS),
            id="copies for each phase",
        ),
        pytest.param(
            conv("a", "data") + conv("b", "a", extra=TRAIN) + conv("c", "a", extra=TEST),
            id="layers of one phase",
        ),
        pytest.param(
            UNKNOWN + conv("a", "data", extra='odd_field: "x" odd { depth: 3 }'),
            id="unknown types and fields",
        ),
        pytest.param(
            conv("a", "data", extra='include { stage: "fast" not_stage: "x" } ' + SPECS)
            + conv("b", "data"),
            id="rules that no phase meets",
        ),
    ],
)
def test_1_2_and_3_text_and_weights_come_back(text: str) -> None:
    state = network(INPUT + text, SHAPES)
    modified = inserted(state)
    assert text_of(modified) != text_of(state)
    back = RemoveQat().run(modified)
    assert text_of(back) == normal(INPUT + text)
    assert sorted(back.weights) == sorted(SHAPES)
    for name, blobs in state.weights.items():
        for blob, original in zip(back.weights[name], blobs):
            np.testing.assert_array_equal(blob, original)


def test_2_a_layer_that_passed_no_gradient_down_says_so_again() -> None:
    silent = conv("a", "data") + conv("b", "a", extra="propagate_down: false")
    back = RemoveQat().run(inserted(network(INPUT + silent, SHAPES))).document.by_name()
    assert back["b"][0].message.booleans("propagate_down") == [False]
    assert back["a"][0].message.booleans("propagate_down") == []


def test_3_the_weights_are_those_that_training_left_in_the_master() -> None:
    modified = inserted(network(INPUT + conv("a", "data"), SHAPES))
    master = np.full((2, 2, 1, 1), 0.3, np.float32)
    bias = np.float32([5, 6])
    modified.weights["a_weight_qat"][0] = master
    modified.weights["a"][1] = bias
    weights = RemoveQat().run(modified).weights["a"]
    np.testing.assert_array_equal(weights[0], master)
    np.testing.assert_array_equal(weights[1], bias)


def test_4_names_of_parameters_that_were_shared_stay() -> None:
    text = conv("a", "data") + batch_norm("bn", "a") + scale("scale", "bn")
    back = RemoveQat().run(inserted(network(INPUT + text, SHAPES)))
    layers = {layer.name: layer for layer in back.document.layers}
    assert list(layers) == ["data", "a", "bn", "scale"]
    assert [spec.name for spec in layers["bn"].param_specs] == [
        f"amct/bn/blob{index}" for index in range(3)
    ]
    assert [spec.name for spec in layers["scale"].param_specs] == [
        f"amct/scale/blob{index}" for index in range(2)
    ]


def test_python_layers_of_others_stay() -> None:
    theirs = (
        'layer { name: "mine" type: "Python" bottom: "data" top: "mine" '
        'python_param { module: "my.layers" layer: "ActivationQAT" } }\n'
    )
    state = network(INPUT + theirs, {})
    assert text_of(RemoveQat().run(state)) == normal(INPUT + theirs)


def test_the_network_that_came_in_stays_as_it_was() -> None:
    modified = inserted(network(INPUT + conv("a", "data"), SHAPES))
    before = text_of(modified)
    RemoveQat().run(modified)
    assert text_of(modified) == before
    assert "a_weight_qat" in modified.weights
