"""InsertWeightQat, rule by rule."""

from __future__ import annotations

import json

import numpy as np

from amct_caffe.network import CaffeNetwork
from amct_caffe.passes.insert_activation_qat import InsertActivationQat
from amct_caffe.passes.insert_weight_qat import InsertWeightQat
from amct_caffe.passes.python_layers import param_str
from amct_core.numerics import arq
from amct_core.plugins import registries
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


def inserted(state: CaffeNetwork) -> CaffeNetwork:
    plan = plan_of(state)
    state = InsertActivationQat(plan).run(state)
    return InsertWeightQat(plan, registries().weight_algorithms).run(state)


def tail_of(state: CaffeNetwork) -> str:
    """Return everything behind the first ActivationQAT."""
    layers = state.document.layers
    names = [layer.name for layer in layers]
    start = next(i for i, name in enumerate(names) if name.endswith("_activation_qat")) + 1
    kept = state.copy()
    kept.document.layers = kept.document.layers[start:]
    return without_param_str(text_of(kept))


def weight_qat(name: str, blob: str, master: str = "", gamma: str = "") -> str:
    return (
        f'layer {{ name: "{name}_weight_qat" type: "Python" bottom: "{blob}" top: "{blob}" '
        f"param {{ {master} }} "
        f'param {{ name: "amct/{name}/quantized" lr_mult: 1 decay_mult: 0 }} '
        f'param {{ name: "amct/{name}/scale_w" lr_mult: 0 decay_mult: 0 }} '
        f'param {{ name: "amct/{blob[: -len("_activation_qat")]}/state" }} {gamma}'
        'python_param { module: "amct_caffe.layers" layer: "WeightQAT" } }\n'
    )


def quantized(name: str, blob: str, more: str = "") -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{blob}" top: "{name}" '
        "convolution_param { num_output: 2 kernel_size: 1 } "
        f'param {{ name: "amct/{name}/quantized" lr_mult: 1 decay_mult: 0 }} {more} }}\n'
    )


BLOB = "a_activation_qat"


def test_1_and_4_the_layer_reads_quantized_weights_that_are_shared_by_name() -> None:
    state = network(INPUT + conv("a", "data"), {"a": CONV})
    after = inserted(state)
    assert tail_of(after) == normal(weight_qat("a", BLOB) + quantized("a", BLOB))
    told = json.loads(param_str(after.document.by_name()["a_weight_qat"][0]))
    assert (told["layer"], told["shape"], told["channel_wise"]) == ("a", [2, 2, 1, 1], True)


def test_2_all_of_one_blob_follow_it_at_once() -> None:
    state = network(INPUT + conv("a", "data") + conv("b", "data"), {"a": CONV, "b": CONV})
    expected = (
        weight_qat("a", BLOB) + weight_qat("b", BLOB) + quantized("a", BLOB) + quantized("b", BLOB)
    )
    assert tail_of(inserted(state)) == normal(expected)


def test_3_the_master_takes_over_name_and_multipliers_and_the_bias_keeps_its_own() -> None:
    specs = 'param { name: "w" lr_mult: 10 decay_mult: 2 } param { name: "b" lr_mult: 20 }'
    state = network(INPUT + conv("a", "data", extra=specs), {"a": CONV})
    after = inserted(state)
    layers = after.document.by_name()
    (master, *_), (own, bias) = layers["a_weight_qat"][0].param_specs, layers["a"][0].param_specs
    assert (master.name, master.lr_mult, master.decay_mult) == ("w", 10, 2)
    assert (own.name, own.lr_mult, own.decay_mult) == ("amct/a/quantized", 1, 0)
    assert (bias.name, bias.lr_mult) == ("b", 20)


SCALED = (
    'layer { name: "bn" type: "BatchNorm" bottom: "a" top: "a" }\n'
    'layer { name: "scale" type: "Scale" bottom: "a" top: "a" scale_param { bias_term: true } }\n'
)


def test_5_the_gamma_that_will_be_folded_is_shared_by_name() -> None:
    shapes = {"a": CONV, "bn": [(2,), (2,), (1,)], "scale": [(2,), (2,)]}
    after = inserted(network(INPUT + conv("a", "data") + SCALED, shapes))
    layers = after.document.by_name()
    (gamma, *_) = layers["scale"][0].param_specs
    assert gamma.name == "amct/scale/blob0"
    assert [s.name for s in layers["a_weight_qat"][0].param_specs][4] == "amct/scale/blob0"
    told = json.loads(param_str(layers["a_weight_qat"][0]))
    assert (told["folded"], told["folds_scale"]) == (["bn", "scale"], True)


def test_the_weights_are_what_the_first_forward_will_leave() -> None:
    state = network(INPUT + conv("a", "data"), {"a": CONV})
    after = inserted(state)
    master, fake, scale, _ = after.weights["a_weight_qat"]
    np.testing.assert_array_equal(master, state.weights["a"][0])
    np.testing.assert_array_equal(scale, arq.scales(master, 0))
    integers = arq.quantize(master, scale, 0)
    np.testing.assert_array_equal(fake, integers * scale.reshape(-1, 1, 1, 1))
    np.testing.assert_array_equal(after.weights["a"][0], fake)
