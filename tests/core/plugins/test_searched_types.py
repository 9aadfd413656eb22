"""Whether shift N of a layer is searched follows from the search and the layer's type alone."""

from __future__ import annotations

import pytest

from amct_core.extensions import LayerType, Quantization, ShiftSearch
from amct_core.extensions.layer_type import WeightAxes

SEARCH = ShiftSearch("mine", start=lambda deq_scale, broadcast: None)
AXES = WeightAxes(output=0)


@pytest.mark.parametrize(
    ("layer_type", "expected"),
    [
        (LayerType("A", weights=AXES, quantization=Quantization()), True),
        (LayerType("A", weights=AXES, quantization=Quantization(searches_shift=False)), False),
        (LayerType("A", quantization=Quantization()), False),
        (LayerType("A", weights=AXES), False),
        (LayerType("A"), False),
    ],
    ids=["with weights", "declined", "without weights", "never quantized", "unknown"],
)
def test_a_search_runs_on_types_with_weights_that_take_part(
    layer_type: LayerType, expected: bool
) -> None:
    assert SEARCH.searches(layer_type) is expected


@pytest.mark.parametrize("name", ["none", "nothing"])
def test_a_search_that_starts_nothing_searches_nothing_whatever_its_name(name: str) -> None:
    kind = LayerType("A", weights=AXES, quantization=Quantization())
    assert ShiftSearch(name).searches(kind) is False
