"""InsertActivationQat, rule by rule."""

from __future__ import annotations

import json
from typing import Any

import attrs
import numpy as np
import pytest

from amct_caffe.model.network import CaffeNetwork
from amct_caffe.passes.insert_activation_qat import InsertActivationQat
from amct_caffe.passes.python_layers import param_str
from amct_caffe.qat.plan import QatPlan
from amct_core.errors import ModelError
from amct_core.graph import run_passes
from plugins.amct_caffe.tests.passes.networks import (
    CONV,
    INPUT,
    TEST,
    TRAIN,
    UNKNOWN,
    conv,
    network,
    normal,
    plan_of,
    relu,
    text_of,
    without_param_str,
)

SUM = 'layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }\n'


def activation_qat(name: str, bottom: str) -> str:
    return (
        f'layer {{ name: "{name}_activation_qat" type: "Python" bottom: "{bottom}" '
        f'top: "{name}_activation_qat" '
        f'param {{ name: "amct/{name}/clip_max" lr_mult: 1 decay_mult: 0 }} '
        f'param {{ name: "amct/{name}/clip_min" lr_mult: 1 decay_mult: 0 }} '
        f'param {{ name: "amct/{name}/state" lr_mult: 0 decay_mult: 0 }} '
        'python_param { module: "amct_caffe.layers" layer: "ActivationQAT" } }\n'
    )


def net(text: str, *names: str) -> CaffeNetwork:
    """Return a network with a convolution's weights for each of ``names``."""
    return network(INPUT + text, dict.fromkeys(names, CONV))


def inserted(state: CaffeNetwork) -> str:
    return without_param_str(text_of(InsertActivationQat(plan_of(state)).run(state)))


def with_activation(plan: QatPlan, **changes: Any) -> QatPlan:
    (group,) = plan.groups
    changed = attrs.evolve(group, activation=attrs.evolve(group.activation, **changes))
    return attrs.evolve(plan, groups=(changed,))


def test_1_and_3_the_reader_of_a_blob_gets_one_and_reads_its_top() -> None:
    state = net(conv("a", "data"), "a")
    expected = INPUT + activation_qat("a", "data") + conv("a", "a_activation_qat", top="a")
    assert inserted(state) == normal(expected)


def test_1_siblings_share_one_named_after_the_first() -> None:
    state = net(conv("b", "data") + conv("a", "data"), "a", "b")
    expected = (
        INPUT
        + activation_qat("b", "data")
        + conv("b", "b_activation_qat", top="b")
        + conv("a", "b_activation_qat", top="a")
    )
    assert inserted(state) == normal(expected)


def test_1_it_is_told_for_which_layers_it_works() -> None:
    state = net(conv("b", "data") + conv("a", "data"), "a", "b")
    after = InsertActivationQat(plan_of(state)).run(state)
    layer = after.document.by_name()["b_activation_qat"][0]
    assert json.loads(param_str(layer))["layers"] == ["b", "a"]


def test_1_names_may_hold_slashes_dashes_and_spaces() -> None:
    name = "res2/branch-1 a"
    state = net(conv(name, "data"), name)
    expected = INPUT + activation_qat(name, "data") + conv(name, f"{name}_activation_qat", top=name)
    assert inserted(state) == normal(expected)


def test_2_and_3_it_stands_behind_the_last_writer_in_place_and_others_read_the_blob() -> None:
    chain = conv("a", "data") + relu("relu", "a") + relu("again", "a")
    state = net(chain + conv("b", "a") + SUM, "a", "b")
    expected = (
        INPUT
        + activation_qat("a", "data")
        + conv("a", "a_activation_qat", top="a")
        + relu("relu", "a")
        + relu("again", "a")
        + activation_qat("b", "a")
        + conv("b", "b_activation_qat", top="b")
        + SUM
    )
    assert inserted(state) == normal(expected)


def test_2_what_one_phase_alone_does_in_place_stays_before_it() -> None:
    drop = f'layer {{ name: "drop" type: "Dropout" bottom: "data" top: "data" {TRAIN} }}\n'
    state = net(drop + conv("a", "data"), "a")
    expected = INPUT + drop + activation_qat("a", "data") + conv("a", "a_activation_qat", top="a")
    assert inserted(state) == normal(expected)


def test_3_layers_of_one_phase_alone_read_the_blob_still() -> None:
    others = conv("in_test", "data", extra=TEST) + conv("in_train", "data", extra=TRAIN)
    state = net(others + conv("a", "data"), "a", "in_test", "in_train")
    expected = INPUT + others + activation_qat("a", "data") + conv("a", "a_activation_qat", top="a")
    assert inserted(state) == normal(expected)


def test_3_copies_for_each_phase_read_the_one_that_stands_before_both() -> None:
    rule = "exclude { phase: TRAIN }"
    state = net(conv("a", "data", extra=TRAIN) + conv("a", "data", extra=rule), "a")
    expected = (
        INPUT
        + activation_qat("a", "data")
        + conv("a", "a_activation_qat", "a", TRAIN)
        + conv("a", "a_activation_qat", "a", rule)
    )
    assert inserted(state) == normal(expected)


def test_3_unknown_layers_and_fields_stay_as_they_are() -> None:
    odd = 'odd_field: "x" param { name: "w" odd: 1 }'
    state = net(UNKNOWN + conv("a", "data", extra=odd), "a")
    qat = activation_qat("a", "data")
    expected = INPUT + UNKNOWN + qat + conv("a", "a_activation_qat", "a", odd)
    assert inserted(state) == normal(expected)


def test_4_the_learning_rate_of_the_bounds_is_the_configs() -> None:
    state = net(conv("a", "data"), "a")
    after = InsertActivationQat(with_activation(plan_of(state), clip_lr_mult=0.25)).run(state)
    specs = after.document.by_name()["a_activation_qat"][0].param_specs
    assert [spec.lr_mult for spec in specs] == [0.25, 0.25, 0]
    assert [spec.decay_mult for spec in specs] == [0, 0, 0]


def test_5_bounds_of_the_config_go_into_the_weights() -> None:
    state = net(conv("a", "data"), "a")
    plan = with_activation(plan_of(state), clip_max=3.0, clip_min=-1.5)
    clip_max, clip_min, _ = InsertActivationQat(plan).run(state).weights["a_activation_qat"]
    assert (clip_max, clip_min) == (np.float32([3.0]), np.float32([-1.5]))


def test_5_other_bounds_start_at_zero() -> None:
    state = net(conv("a", "data"), "a")
    after = InsertActivationQat(plan_of(state)).run(state)
    clip_max, clip_min, _ = after.weights["a_activation_qat"]
    assert (clip_max, clip_min) == (np.float32([0]), np.float32([0]))


DROPPED = f'layer {{ name: "drop" type: "Dropout" bottom: "data" top: "dropped" {TRAIN} }}\n'


def test_6_copies_that_read_different_blobs_are_refused() -> None:
    copies = conv("a", "dropped", "a", TRAIN) + conv("a", "data", "a", TEST)
    with pytest.raises(ModelError, match=r"in TRAIN.* 'data' .*in place of 'dropped'") as caught:
        inserted(net(DROPPED + copies, "a"))
    assert caught.value.layer == "a"


def test_6_a_file_that_lists_one_phase_after_the_other_is_refused() -> None:
    def phase(rule: str) -> str:
        return f'layer {{ name: "p" type: "Power" bottom: "data" top: "p" {rule} }}\n' + conv(
            "a", "p", extra=rule
        )

    with pytest.raises(ModelError, match=r"in TEST.* 'p' that no layer has made") as caught:
        inserted(net(phase(TRAIN) + phase(TEST), "a"))
    assert caught.value.layer == "a"


def test_6_siblings_in_another_order_in_each_phase_are_refused() -> None:
    in_train = conv("b", "data", extra=TRAIN) + conv("a", "data", extra=TRAIN)
    in_test = conv("a", "data", extra=TEST) + conv("b", "data", extra=TEST)
    with pytest.raises(ModelError, match="in TRAIN, 'b' would read") as caught:
        inserted(net(in_train + in_test, "a", "b"))
    assert caught.value.layer == "b"


def test_7_a_modified_model_is_refused() -> None:
    state = net(conv("a", "data"), "a")
    once = InsertActivationQat(plan_of(state)).run(state)
    with pytest.raises(ModelError, match="this is a modified model already") as caught:
        run_passes(once, [InsertActivationQat(plan_of(once))])
    assert caught.value.layer == "a_activation_qat"


def test_the_network_that_came_in_stays_as_it_was() -> None:
    state = net(conv("a", "data"), "a")
    before = text_of(state)
    InsertActivationQat(plan_of(state)).run(state)
    assert text_of(state) == before
    assert list(state.weights) == ["a"]


SILENT = "propagate_down: false "


def test_11_that_no_gradient_goes_down_moves_to_it() -> None:
    text = conv("a", "data", extra=SILENT) + relu("relu", "a") + conv("b", "a")
    found = inserted(net(text, "a", "b"))
    assert found.count(SILENT.strip()) == 1
    (layer,) = (part for part in found.split("layer {") if SILENT.strip() in part)
    assert 'name: "a_activation_qat"' in layer


def test_11_siblings_of_which_one_passes_a_gradient_down_are_refused() -> None:
    state = net(conv("a", "data", extra=SILENT) + conv("b", "data") + SUM, "a", "b")
    with pytest.raises(ModelError, match=r"layer 'a', field 'propagate_down': .*'b'"):
        inserted(state)
