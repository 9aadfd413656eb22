"""InsertActivationQat, rule by rule."""

from __future__ import annotations

import json

import attrs
import numpy as np

from amct_caffe.passes.insert_activation_qat import InsertActivationQat
from amct_caffe.passes.python_layers import param_str
from plugins.amct_caffe.tests.passes.networks import (
    CONV,
    INPUT,
    conv,
    network,
    normal,
    plan_of,
    text_of,
    without_param_str,
)


def activation_qat(name: str, bottom: str) -> str:
    return (
        f'layer {{ name: "{name}_activation_qat" type: "Python" bottom: "{bottom}" '
        f'top: "{name}_activation_qat" '
        f'param {{ name: "amct/{name}/clip_max" lr_mult: 1 decay_mult: 0 }} '
        f'param {{ name: "amct/{name}/clip_min" lr_mult: 1 decay_mult: 0 }} '
        f'param {{ name: "amct/{name}/state" lr_mult: 0 decay_mult: 0 }} '
        'python_param { module: "amct_caffe.layers" layer: "ActivationQAT" } }\n'
    )


def test_1_and_3_the_reader_of_a_blob_gets_one_and_reads_its_top() -> None:
    state = network(INPUT + conv("a", "data"), {"a": CONV})
    after = InsertActivationQat(plan_of(state)).run(state)
    expected = INPUT + activation_qat("a", "data") + conv("a", "a_activation_qat", top="a")
    assert without_param_str(text_of(after)) == normal(expected)


def test_1_siblings_share_one_named_after_the_first() -> None:
    state = network(INPUT + conv("b", "data") + conv("a", "data"), {"a": CONV, "b": CONV})
    after = InsertActivationQat(plan_of(state)).run(state)
    expected = (
        INPUT
        + activation_qat("b", "data")
        + conv("b", "b_activation_qat", top="b")
        + conv("a", "b_activation_qat", top="a")
    )
    assert without_param_str(text_of(after)) == normal(expected)
    layer = after.document.by_name()["b_activation_qat"][0]
    assert json.loads(param_str(layer))["layers"] == ["b", "a"]


RELU = 'layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }\n'
SUM = 'layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }\n'


def test_2_and_3_it_stands_behind_the_last_writer_in_place_and_others_read_the_blob() -> None:
    text = INPUT + conv("a", "data") + RELU + conv("b", "a") + SUM
    state = network(text, {"a": CONV, "b": CONV})
    after = InsertActivationQat(plan_of(state)).run(state)
    expected = (
        INPUT
        + activation_qat("a", "data")
        + conv("a", "a_activation_qat", top="a")
        + RELU
        + activation_qat("b", "a")
        + conv("b", "b_activation_qat", top="b")
        + SUM
    )
    assert without_param_str(text_of(after)) == normal(expected)


def test_2_names_may_hold_slashes_dashes_and_spaces() -> None:
    name = "res2/branch-1 a"
    state = network(INPUT + conv(name, "data"), {name: CONV})
    after = InsertActivationQat(plan_of(state)).run(state)
    expected = INPUT + activation_qat(name, "data") + conv(name, f"{name}_activation_qat", top=name)
    assert without_param_str(text_of(after)) == normal(expected)


def test_4_the_learning_rate_of_the_bounds_is_the_configs() -> None:
    state = network(INPUT + conv("a", "data"), {"a": CONV})
    plan = plan_of(state)
    (group,) = plan.groups
    faster = attrs.evolve(group, activation=attrs.evolve(group.activation, clip_lr_mult=0.25))
    after = InsertActivationQat(attrs.evolve(plan, groups=(faster,))).run(state)
    specs = after.document.by_name()["a_activation_qat"][0].param_specs
    assert [spec.lr_mult for spec in specs] == [0.25, 0.25, 0]
    assert [spec.decay_mult for spec in specs] == [0, 0, 0]


def test_5_bounds_of_the_config_go_into_the_weights() -> None:
    state = network(INPUT + conv("a", "data"), {"a": CONV})
    plan = plan_of(state)
    (group,) = plan.groups
    given = attrs.evolve(group.activation, clip_max=3.0, clip_min=-1.5)
    after = InsertActivationQat(
        attrs.evolve(plan, groups=(attrs.evolve(group, activation=given),))
    ).run(state)
    clip_max, clip_min, _ = after.weights["a_activation_qat"]
    assert (clip_max, clip_min) == (np.float32([3.0]), np.float32([-1.5]))


def test_the_network_that_came_in_stays_as_it_was() -> None:
    state = network(INPUT + conv("a", "data"), {"a": CONV})
    before = text_of(state)
    InsertActivationQat(plan_of(state)).run(state)
    assert text_of(state) == before
    assert list(state.weights) == ["a"]
