"""InsertShiftSearch, rule by rule."""

from __future__ import annotations

import numpy as np
import pytest

from amct_caffe.passes.insert_activation_qat import InsertActivationQat
from amct_caffe.passes.insert_shift_search import InsertShiftSearch
from amct_caffe.passes.insert_weight_qat import InsertWeightQat
from amct_caffe.passes.python_layers import fixed
from amct_core.errors import ModelError
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
    without_param_str,
)

SHAPES = {"a": CONV, "b": CONV, "bn": BATCH_NORM, "scale": SCALE}


def inserted(text: str) -> str:
    state = network(INPUT + text, SHAPES)
    return without_param_str(text_of(InsertShiftSearch(plan_of(state)).run(state)))


def shift_search(name: str, blob: str, shared: str = "", group: str = "") -> str:
    group = group or name
    return (
        f'layer {{ name: "{name}_shift_search" type: "Python" bottom: "{blob}" top: "{blob}" '
        f'param {{ name: "amct/{group}/clip_max" }} param {{ name: "amct/{group}/clip_min" }} '
        f'param {{ name: "amct/{group}/state" }} param {{ name: "amct/{name}/scale_w" }} {shared}'
        'python_param { module: "amct_caffe.layers" layer: "ShiftSearch" } }\n'
    )


def names(layer: str, count: int, more: str = "") -> str:
    return " ".join(f'param {{ name: "amct/{layer}/blob{i}" {more} }}' for i in range(count)) + " "


def test_1_and_2_it_stands_behind_the_layer_and_before_a_relu_in_place() -> None:
    text = conv("a", "data") + relu("relu", "a")
    expected = conv("a", "data") + shift_search("a", "a") + relu("relu", "a")
    assert inserted(text) == normal(INPUT + expected)


def test_1_pooling_has_none() -> None:
    pool = (
        'layer { name: "p" type: "Pooling" bottom: "data" top: "p" '
        "pooling_param { pool: AVE kernel_size: 2 } }\n"
    )
    assert inserted(pool) == normal(INPUT + pool)


def test_1_names_may_hold_slashes_dashes_and_spaces() -> None:
    name = "res2/branch-1 a"
    state = network(INPUT + conv(name, "data"), {name: CONV})
    after = InsertShiftSearch(plan_of(state)).run(state)
    expected = INPUT + conv(name, "data") + shift_search(name, name)
    assert without_param_str(text_of(after)) == normal(expected)


def test_1_copies_for_each_phase_have_one_behind_both() -> None:
    text = conv("a", "data", extra=TRAIN) + conv("a", "data", extra=TEST)
    assert inserted(text) == normal(INPUT + text + shift_search("a", "a"))


def test_1_unknown_layers_and_fields_and_those_of_one_phase_stay_as_they_are() -> None:
    text = UNKNOWN + conv("b", "data", extra=TEST) + conv("a", "data", extra='odd_field: "x"')
    assert inserted(text) == normal(INPUT + text + shift_search("a", "a"))


def test_2_it_stands_before_every_reader() -> None:
    text = conv("a", "data"), conv("b", "a")
    expected = text[0] + shift_search("a", "a") + text[1] + shift_search("b", "b")
    assert inserted("".join(text)) == normal(INPUT + expected)


def test_3_siblings_read_the_bounds_of_the_activation_that_they_share() -> None:
    text = conv("a", "data"), conv("b", "data")
    second = shift_search("b", "b", group="a")
    expected = text[0] + shift_search("a", "a") + text[1] + second
    assert inserted("".join(text)) == normal(INPUT + expected)


NAMED_SCALE = (
    'layer { name: "scale" type: "Scale" bottom: "x" top: "x" scale_param { bias_term: true } '
    + names("scale", 2)
    + "}\n"
)


def test_2_and_3_it_stands_behind_what_saving_will_fold_and_shares_its_blobs() -> None:
    chain = batch_norm("bn", "x", "x") + scale("scale", "x", "x")
    expected = (
        conv("a", "data", "x")
        + batch_norm("bn", "x", "x", names("bn", 3, "lr_mult: 0"))
        + NAMED_SCALE
        + shift_search("a", "x", names("bn", 3) + names("scale", 2))
        + relu("relu", "x")
    )
    assert inserted(conv("a", "data", "x") + chain + relu("relu", "x")) == normal(INPUT + expected)


def test_3_a_name_that_the_user_gave_stays_and_is_used() -> None:
    mine = 'param { name: "gamma" lr_mult: 3 } param { name: "beta" }'
    text = conv("a", "data") + scale("scale", "a", extra=mine)
    shared = 'param { name: "gamma" } param { name: "beta" } '
    assert inserted(text) == normal(INPUT + text + shift_search("a", "scale", shared))


def test_3_both_copies_of_a_batch_norm_get_the_names() -> None:
    copies = [batch_norm("bn", "a", "n", rule) for rule in (TRAIN, TEST)]
    named = names("bn", 3, "lr_mult: 0")
    expected = [batch_norm("bn", "a", "n", rule + named) for rule in (TRAIN, TEST)]
    assert inserted(conv("a", "data") + "".join(copies)) == normal(
        INPUT + conv("a", "data") + "".join(expected) + shift_search("a", "n", names("bn", 3))
    )


FROZEN = "batch_norm_param { use_global_stats: true }"


def test_4_statistics_that_stand_still_are_its_own_and_need_no_names() -> None:
    text = conv("a", "data") + batch_norm("bn", "a", "a", FROZEN) + scale("scale", "a", "a")
    state = network(INPUT + text, SHAPES)
    plan, algorithms = plan_of(state), registries().weight_algorithms
    for each in (InsertActivationQat(plan), InsertWeightQat(plan, algorithms)):
        state = each.run(state)
    after = InsertShiftSearch(plan).run(state)
    layers = after.document.by_name()
    assert not layers["bn"][0].param_specs
    specs = layers["a_shift_search"][0].param_specs
    assert specs[4:7] == [fixed()] * 3
    assert [spec.name for spec in specs[7:]] == ["amct/scale/blob0", "amct/scale/blob1"]
    blobs = after.weights["a_shift_search"]
    owners = [
        *after.weights["a_activation_qat"],
        after.weights["a_weight_qat"][2],
        *after.weights["bn"],
        *after.weights["scale"],
    ]
    assert len(blobs) == len(specs) == len(owners)
    for blob, owner in zip(blobs, owners):
        np.testing.assert_array_equal(blob, owner)


def test_4_a_copy_that_is_trained_in_one_phase_shares_them() -> None:
    copies = [batch_norm("bn", "a", "n", TRAIN), batch_norm("bn", "a", "n", TEST + FROZEN)]
    state = network(INPUT + conv("a", "data") + "".join(copies), SHAPES)
    after = InsertShiftSearch(plan_of(state)).run(state)
    specs = after.document.by_name()["a_shift_search"][0].param_specs
    assert [spec.name for spec in specs[4:]] == [f"amct/bn/blob{index}" for index in range(3)]


def test_2_what_follows_in_one_phase_alone_will_not_be_folded_and_comes_behind() -> None:
    bn = batch_norm("bn", "a", extra=TRAIN)
    expected = conv("a", "data") + shift_search("a", "a") + bn
    assert inserted(conv("a", "data") + bn) == normal(INPUT + expected)


def test_5_copies_with_a_relu_between_them_are_refused() -> None:
    text = "".join(
        conv("a", "data", extra=rule) + relu("relu", "a", rule) for rule in (TRAIN, TEST)
    )
    with pytest.raises(
        ModelError, match=r"in TRAIN.* 'a' of layer 'relu' in place of 'a'"
    ) as caught:
        inserted(text)
    assert caught.value.layer == "a"


def test_5_copies_that_write_different_blobs_are_refused() -> None:
    text = conv("a", "data", "t", TRAIN) + conv("a", "data", "a", TEST)
    with pytest.raises(ModelError, match=r"in TRAIN.* 'a' that no layer has made") as caught:
        inserted(text)
    assert caught.value.layer == "a"


def test_7_behind_an_output_with_a_loss_weight_it_has_no_top() -> None:
    weighted = conv("a", "data").replace('top: "a"', 'top: "a" loss_weight: 0.5')
    expected = weighted + shift_search("a", "a").replace('top: "a"', "") + conv("b", "a")
    assert inserted(weighted + conv("b", "a")) == normal(INPUT + expected + shift_search("b", "b"))


def test_7_the_loss_weight_of_the_layer_that_is_folded_last_counts() -> None:
    weighted = scale("scale", "a").replace('top: "a"', 'top: "a" loss_weight: 0.5')
    assert 'top: "a"' not in inserted(conv("a", "data") + weighted).split("a_shift_search")[1]


def test_the_network_that_came_in_stays_as_it_was() -> None:
    text = INPUT + conv("a", "data") + batch_norm("bn", "a")
    state = network(text, SHAPES)
    InsertShiftSearch(plan_of(state)).run(state)
    assert text_of(state) == normal(text)
