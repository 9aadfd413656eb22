"""RemoveQat undoes the insertion."""

from __future__ import annotations

import numpy as np
import pytest

from amct_caffe.passes.insert_activation_qat import InsertActivationQat
from amct_caffe.passes.insert_shift_search import InsertShiftSearch
from amct_caffe.passes.insert_weight_qat import InsertWeightQat
from amct_caffe.passes.remove_qat import RemoveQat
from amct_core.graph import run_passes
from amct_core.plugins import registries
from plugins.amct_caffe.tests.passes.networks import CONV, INPUT, conv, network, plan_of, text_of

UNKNOWN = 'layer { name: "x" type: "Invented" bottom: "a" top: "x" invented_param { depth: 3 } }\n'
RULE = 'layer { name: "r" type: "ReLU" bottom: "a" top: "a" include { phase: TEST stage: "s" } }\n'
SPECS = 'param { name: "w" lr_mult: 2 decay_mult: 1 } param { lr_mult: 4 decay_mult: 0 }'


@pytest.mark.parametrize(
    "text",
    [
        INPUT + conv("a", "data", extra=SPECS) + UNKNOWN,
        INPUT + conv("a", "data", extra=SPECS) + RULE + conv("b", "a", extra=SPECS),
    ],
    ids=["unknown types and fields", "rules and shared names"],
)
def test_text_and_weights_come_back(text: str) -> None:
    state = network(text, {"a": CONV, "b": CONV})
    plan = plan_of(state)
    passes = [
        InsertActivationQat(plan),
        InsertWeightQat(plan, registries().weight_algorithms),
        InsertShiftSearch(plan),
    ]
    inserted = run_passes(state, passes)
    assert text_of(inserted) != text_of(state)
    back = RemoveQat().run(inserted)
    assert sorted_fields(text_of(back)) == sorted_fields(text_of(state))
    for name, blobs in back.weights.items():
        for blob, original in zip(blobs, state.weights[name]):
            np.testing.assert_array_equal(blob, original)


def sorted_fields(text: str) -> list[str]:
    """Return the lines of each layer in order: param specs move behind the parameters."""
    layers = text.split("layer {\n")[1:]
    return ["".join(sorted(layer.splitlines(True))) for layer in layers]
