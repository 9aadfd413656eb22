"""Each cause is said where its rule holds, and not a little before."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import attrs
import pytest

from amct_core.errors import QuantizationError
from amct_core.numerics.bias import BiasOutOfRange
from cpu_sim_backend.analysis.causes import CAUSES, as_markdown, find_all
from cpu_sim_backend.analysis.model import Change, LearnedBounds, Similarity
from plugins.cpu_sim_backend.tests.analysis.cases import GOOD, case

ROOT = Path(__file__).resolve().parents[4]
CLIPPED = {"clipping_snr": 10.0, "gain": 20.0, "clip_max": 1.0, "scale": 1 / 255}
WIDE = {"rounding_snr": 20.0, "gain": 15.0, "clip_max": 40.0, "scale": 40 / 255}
OUTLIER = {"rounding_snr": 20.0, "gain": 15.0, "typical": 20.0, "best_max": 0.4}


def causes(**changes: Any) -> list[str]:
    return [each.cause for each in find_all([case(**changes)], {})]


def test_nothing_is_said_of_a_good_layer() -> None:
    assert causes() == []


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        (CLIPPED, "clipping"),
        ({**CLIPPED, "clip_max": 2.1}, "too few calibration batches"),
        (WIDE, "diverged bound"),
        (OUTLIER, "activation outlier"),
        ({"used": 15, "rounding_snr": 24.0}, "too few steps"),
        ({"int16_saturated": 2e-4}, "N saturation"),
        ({"alone": Similarity(14.0, 0.9)}, "int8 too coarse"),
        ({"parts": 2}, "accumulator parts"),
        ({"dead": (1,)}, "dead channel"),
        ({"on_processor": ("rolled back to float16: its input has 3 channels",)}, "roll-back"),
    ],
)
def test_a_cause_is_named(changes: dict[str, Any], cause: str) -> None:
    assert causes(**changes) == [cause]


@pytest.mark.parametrize(
    "changes",
    [
        {**CLIPPED, "gain": 2.9},
        {**CLIPPED, "clipping_snr": 30.5, "rounding_snr": 60.0},
        {**WIDE, "gain": 2.9},
        {**WIDE, "rounding_snr": 30.5},
        {"used": 16, "rounding_snr": 24.0},
        {"used": 15, "rounding_snr": 25.5},
        {"int16_saturated": 1e-4},
        {"alone": Similarity(15.1, 0.9)},
        {"alone": Similarity(math.nan, 0.0)},
        {"on_processor": ("its shift N is ignored",)},
    ],
)
def test_a_cause_is_not_named_beyond_its_threshold(changes: dict[str, Any]) -> None:
    assert causes(**changes) == []


class TestWeights:
    """``typical`` of the weights, which activations have as well."""

    @staticmethod
    def found(snr: float = 20.0, allowed: bool = False, **weights: Any) -> Any:
        weights = {"channel_wise": False, "typical": 5.0, **weights}
        layer = attrs.evolve(
            GOOD,
            alone=Similarity(snr, 0.9),
            weights=attrs.evolve(GOOD.weights, **weights),
        )
        judged = attrs.evolve(case(), layer=layer, channel_wise_allowed=allowed)
        return find_all([judged], {})

    def test_few_large_weights_are_an_outlier(self) -> None:
        (finding,) = self.found(outliers=(1,))
        assert finding.cause == "weight outlier"
        assert finding.qat == finding.ptq == Change(skip=True)

    def test_a_channel_that_is_large_as_a_whole_is_another_cause(self) -> None:
        (finding,) = self.found(outliers=(1,), wide=(1,), allowed=True)
        assert finding.cause == "outlier channel"
        assert finding.qat == Change(values=(("retrain_weight_config.channel_wise", True),))
        assert finding.ptq == Change(values=(("weight_quant_params.channel_wise", True),))

    def test_a_layer_with_a_scale_for_each_channel_gets_none_once_more(self) -> None:
        (finding,) = self.found(channel_wise=True, allowed=True)
        assert finding.qat == Change(skip=True)

    def test_a_good_layer_may_have_them(self) -> None:
        assert self.found(snr=30.0) == ()
        assert self.found(typical=10.0) == ()


def test_the_cure_of_a_clipped_input_is_the_bounds_that_suit_it() -> None:
    (finding,) = find_all([case(**CLIPPED)], {})
    assert finding.qat is not None
    assert dict(finding.qat.values) == {
        "retrain_data_config.clip_max": 4.0,
        "retrain_data_config.clip_min": pytest.approx(-4 / 255, rel=1e-3),
    }
    assert finding.ptq == Change(values=(("activation_quant_params.act_algo", "min_max"),))


def test_training_that_moved_a_bound_is_told() -> None:
    learned = LearnedBounds("conv", (0, 20), (0.0, 0.0), (4.0, 40.0))
    (finding,) = find_all([case(**WIDE, learned=learned)], {})
    assert "training moved clip_max from 4 to 40" in finding.measured


def test_what_costs_most_comes_first_and_what_is_harmless_last() -> None:
    layers = [
        case(name="a", dead=(0,)),
        case(name="b", **{**CLIPPED, "alone": Similarity(20.0, 0.9)}),
        case(name="c", **{**WIDE, "alone": Similarity(10.0, 0.9)}),
    ]
    refused = {"d": BiasOutOfRange("too large."), "e": QuantizationError("NaN.")}
    found = find_all(layers, refused)
    assert [each.layer for each in found] == ["d", "e", "c", "b", "a"]
    assert [each.cause for each in found][:2] == ["bias out of int32", "cannot be quantized"]
    assert [each.harmless for each in found] == [False] * 4 + [True]
    assert math.isinf(found[0].weight)


def test_the_documentation_has_the_same_table() -> None:
    page = (ROOT / "docs/causes.md").read_text(encoding="utf-8")
    assert as_markdown() in page
    assert len({each.name for each in CAUSES}) == len(CAUSES)
