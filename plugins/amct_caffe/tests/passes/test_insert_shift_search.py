"""InsertShiftSearch, rule by rule."""

from __future__ import annotations

from amct_caffe.network import CaffeNetwork
from amct_caffe.passes.insert_shift_search import InsertShiftSearch
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


def inserted(state: CaffeNetwork) -> str:
    return without_param_str(text_of(InsertShiftSearch(plan_of(state)).run(state)))


def shift_search(name: str, blob: str, shared: str = "") -> str:
    return (
        f'layer {{ name: "{name}_shift_search" type: "Python" bottom: "{blob}" top: "{blob}" '
        f'param {{ name: "amct/{name}/clip_max" }} param {{ name: "amct/{name}/clip_min" }} '
        f'param {{ name: "amct/{name}/state" }} param {{ name: "amct/{name}/scale_w" }} {shared}'
        'python_param { module: "amct_caffe.layers" layer: "ShiftSearch" } }\n'
    )


RELU = 'layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }\n'


def test_1_and_2_it_stands_behind_the_layer_and_before_a_relu_in_place() -> None:
    state = network(INPUT + conv("a", "data") + RELU, {"a": CONV})
    assert inserted(state) == normal(INPUT + conv("a", "data") + shift_search("a", "a") + RELU)


def test_1_pooling_has_none() -> None:
    pool = (
        'layer { name: "p" type: "Pooling" bottom: "data" top: "p" '
        "pooling_param { pool: AVE kernel_size: 2 } }\n"
    )
    state = network(INPUT + pool, {})
    assert inserted(state) == normal(INPUT + pool)


def test_2_and_3_it_stands_behind_what_saving_will_fold_and_shares_its_blobs() -> None:
    def chain(bn: str, scale: str) -> str:
        return (
            f'layer {{ name: "bn" type: "BatchNorm" bottom: "a" top: "n" {bn} }}\n'
            f'layer {{ name: "scale" type: "Scale" bottom: "n" top: "s" {scale} }}\n'
        )

    state = network(
        INPUT + conv("a", "data") + chain("", 'param { name: "mine" lr_mult: 3 }'),
        {"a": CONV, "bn": [(2,), (2,), (1,)], "scale": [(2,)]},
    )
    names = [f"amct/bn/blob{i}" for i in range(3)]
    bn = " ".join(f'param {{ name: "{name}" lr_mult: 0 }}' for name in names)
    shared = "".join(f'param {{ name: "{name}" }} ' for name in [*names, "mine"])
    expected = (
        INPUT
        + conv("a", "data")
        + chain(bn, 'param { name: "mine" lr_mult: 3 }')
        + shift_search("a", "s", shared)
    )
    assert inserted(state) == normal(expected)
