"""How many inputs and outputs a layer type says that its layers have."""

from __future__ import annotations

from typing import Any

import pytest

from amct_core.errors import PluginError
from amct_core.extensions import LayerType


@pytest.mark.parametrize("count", [(1, 1), (0, 3), (1, None), None])
def test_a_pair_of_least_and_most_is_taken(count: Any) -> None:
    assert LayerType("Twice", inputs=count, outputs=count).inputs == count


@pytest.mark.parametrize("count", [1, (1,), (2, 1), (-1, None), (None, 1), [1, 1], ("1", 2)])
@pytest.mark.parametrize("field", ["inputs", "outputs"])
def test_anything_else_is_refused_where_the_type_is_made(field: str, count: Any) -> None:
    with pytest.raises(PluginError) as caught:
        LayerType("Twice", **{field: count})
    assert f"LayerType 'Twice': {field} is {count!r}; expected a pair" in str(caught.value)
