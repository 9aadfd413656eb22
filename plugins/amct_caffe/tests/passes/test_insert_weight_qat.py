"""InsertWeightQat, rule by rule."""

from __future__ import annotations

import json

import numpy as np

from amct_caffe.model.network import CaffeNetwork
from amct_caffe.passes.insert_activation_qat import InsertActivationQat
from amct_caffe.passes.insert_weight_qat import InsertWeightQat
from amct_caffe.passes.python_layers import param_str
from amct_core.numerics import arq
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
BLOB = "a_activation_qat"


def inserted(state: CaffeNetwork) -> CaffeNetwork:
    plan = plan_of(state)
    state = InsertActivationQat(plan).run(state)
    return InsertWeightQat(plan, registries().weight_algorithms).run(state)


def tail_of(text: str, shapes: object = SHAPES) -> str:
    """Return everything behind the first ActivationQAT of what insertion makes of ``text``."""
    state = inserted(network(INPUT + text, shapes))  # type: ignore[arg-type]
    names = [layer.name for layer in state.document.layers]
    start = next(i for i, name in enumerate(names) if name.endswith("_activation_qat")) + 1
    state.document.layers = state.document.layers[start:]
    return without_param_str(text_of(state))


def weight_qat(name: str, blob: str = BLOB, master: str = "", gamma: str = "") -> str:
    return (
        f'layer {{ name: "{name}_weight_qat" type: "Python" bottom: "{blob}" top: "{blob}" '
        f"param {{ {master} }} "
        f'param {{ name: "amct/{name}/quantized" lr_mult: 1 decay_mult: 0 }} '
        f'param {{ name: "amct/{name}/scale_w" lr_mult: 0 decay_mult: 0 }} '
        f'param {{ name: "amct/{blob[: -len("_activation_qat")]}/state" }} {gamma}'
        'python_param { module: "amct_caffe.layers" layer: "WeightQAT" } }\n'
    )


def own(name: str) -> str:
    """Return the parameter spec of the quantized weights."""
    return f'param {{ name: "amct/{name}/quantized" lr_mult: 1 decay_mult: 0 }}'


def quantized(name: str, blob: str = BLOB, extra: str = "", top: str = "") -> str:
    """Return a convolution that had no specs: they stand at its end."""
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{blob}" top: "{top or name}" '
        f"{extra} convolution_param {{ num_output: 2 kernel_size: 1 }} {own(name)} }}\n"
    )


def test_1_and_4_the_layer_reads_quantized_weights_that_are_shared_by_name() -> None:
    assert tail_of(conv("a", "data")) == normal(weight_qat("a") + quantized("a"))


def test_1_names_may_hold_slashes_dashes_and_spaces() -> None:
    name = "res2/branch-1 a"
    blob = f"{name}_activation_qat"
    expected = weight_qat(name, blob) + quantized(name, blob)
    assert tail_of(conv(name, "data"), {name: CONV}) == normal(expected)


def test_1_it_is_told_the_layer_and_the_shape_of_its_weights() -> None:
    after = inserted(network(INPUT + conv("a", "data"), SHAPES))
    told = json.loads(param_str(after.document.by_name()["a_weight_qat"][0]))
    assert (told["layer"], told["shape"], told["channel_wise"]) == ("a", [2, 2, 1, 1], True)


def test_1_pooling_has_none() -> None:
    pool = "pooling_param { pool: AVE kernel_size: 2 }"
    text = f'layer {{ name: "p" type: "Pooling" bottom: "data" top: "p" {pool} }}\n'
    assert tail_of(text) == normal(text.replace('"data"', '"p_activation_qat"'))


def test_1_copies_for_each_phase_share_one() -> None:
    text = conv("a", "data", extra=TRAIN) + conv("a", "data", extra=TEST)
    expected = weight_qat("a") + quantized("a", extra=TRAIN) + quantized("a", extra=TEST)
    assert tail_of(text) == normal(expected)


def test_1_layers_of_one_phase_alone_and_unknown_layers_stay_as_they_are() -> None:
    others = conv("b", "a", extra=TEST) + UNKNOWN + relu("r", "a", "exclude { phase: TEST }")
    expected = weight_qat("a") + quantized("a") + others
    assert tail_of(conv("a", "data") + others) == normal(expected)


def test_2_all_of_one_blob_follow_it_at_once() -> None:
    expected = weight_qat("a") + weight_qat("b") + quantized("a") + quantized("b")
    assert tail_of(conv("a", "data") + conv("b", "data")) == normal(expected)


def test_3_and_4_the_master_takes_over_the_multipliers_and_the_bias_keeps_its_own() -> None:
    bias = "param { lr_mult: 20 decay_mult: 0 }"
    text = conv("a", "data", extra=f"param {{ lr_mult: 10 decay_mult: 2 }} {bias}")
    expected = weight_qat("a", master="lr_mult: 10 decay_mult: 2")
    assert tail_of(text) == normal(expected + conv("a", BLOB, "a", own("a") + bias))


def test_3_frozen_weights_stay_frozen_in_the_master() -> None:
    expected = weight_qat("a", master="lr_mult: 0") + conv("a", BLOB, "a", own("a"))
    assert tail_of(conv("a", "data", extra="param { lr_mult: 0 }")) == normal(expected)


def test_3_weights_that_two_layers_share_by_name_have_masters_that_share_them() -> None:
    w, b = 'name: "w" share_mode: PERMISSIVE odd: 1', 'param { name: "b" }'
    shared = f"param {{ {w} }} {b}"
    text = conv("a", "data", extra=shared) + conv("b", "data", extra=shared)
    expected = (
        weight_qat("a", master=w)
        + weight_qat("b", master=w)
        + conv("a", BLOB, "a", own("a") + b)
        + conv("b", BLOB, "b", own("b") + b)
    )
    assert tail_of(text) == normal(expected)


def test_3_a_copy_without_specs_takes_those_of_the_other() -> None:
    text = conv("a", "data", extra=TRAIN) + conv("a", "data", extra=TEST + "param { lr_mult: 3 }")
    expected = (
        weight_qat("a", master="lr_mult: 3")
        + quantized("a", extra=TRAIN)
        + conv("a", BLOB, "a", TEST + own("a"))
    )
    assert tail_of(text) == normal(expected)


def test_4_unknown_fields_of_the_layer_stay() -> None:
    odd = 'odd_field: "x" odd_message { depth: 1 }'
    text = conv("a", "data", extra=odd)
    assert tail_of(text) == normal(weight_qat("a") + quantized("a", extra=odd))


def test_5_the_gamma_that_will_be_folded_is_shared_by_name() -> None:
    text = conv("a", "data", "x") + batch_norm("bn", "x", "x") + scale("scale", "x", "x")
    gamma = 'param { name: "amct/scale/blob0" }'
    named = (
        'layer { name: "scale" type: "Scale" bottom: "x" top: "x" scale_param { bias_term: true } '
        f"{gamma} }}\n"
    )
    expected = weight_qat("a", gamma=gamma) + quantized("a", top="x")
    assert tail_of(text) == normal(expected + batch_norm("bn", "x", "x") + named)


def test_5_a_name_that_the_user_gave_to_gamma_is_used() -> None:
    text = conv("a", "data"), scale("scale", "a", extra='param { name: "mine" lr_mult: 3 }')
    expected = weight_qat("a", gamma='param { name: "mine" } ') + quantized("a")
    assert tail_of("".join(text)) == normal(expected + text[1])


def test_5_it_is_told_what_will_be_folded() -> None:
    text = INPUT + conv("a", "data") + batch_norm("bn", "a") + scale("scale", "bn")
    after = inserted(network(text, SHAPES))
    told = json.loads(param_str(after.document.by_name()["a_weight_qat"][0]))
    assert (told["folded"], told["folds_scale"]) == (["bn", "scale"], True)
    np.testing.assert_array_equal(after.weights["a_weight_qat"][4], after.weights["scale"][0])


def test_6_the_weights_are_what_the_first_forward_will_leave() -> None:
    state = network(INPUT + conv("a", "data"), SHAPES)
    after = inserted(state)
    master, fake, scale_w, activation_state = after.weights["a_weight_qat"]
    np.testing.assert_array_equal(master, state.weights["a"][0])
    np.testing.assert_array_equal(scale_w, arq.scales(master, 0))
    integers = arq.quantize(master, scale_w, 0)
    np.testing.assert_array_equal(fake, integers * scale_w.reshape(-1, 1, 1, 1))
    np.testing.assert_array_equal(after.weights["a"][0], fake)
    np.testing.assert_array_equal(after.weights["a"][1], state.weights["a"][1])
    np.testing.assert_array_equal(activation_state, after.weights[BLOB][2])


def test_the_network_that_came_in_stays_as_it_was() -> None:
    text = INPUT + conv("a", "data") + scale("scale", "a")
    state = network(text, SHAPES)
    inserted(state)
    assert text_of(state) == normal(text)
    assert sorted(state.weights) == sorted(SHAPES)
