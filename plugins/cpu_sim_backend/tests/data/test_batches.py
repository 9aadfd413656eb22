"""How data are divided into batches, where inputs do not all count samples on the first axis."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Sequence

import numpy as np
import pytest

from amct_core.errors import ModelError
from amct_core.extensions.frontend import NetworkData
from cpu_sim_backend.data import ArraySource, DataLayerSource, DataSource, NpzSource, batches

FRAMES = {"frames": (6, 2), "cont": (3, 2)}
"""Three time steps of two streams: six frames, and one row of ``cont`` per step."""


def arrays(**lengths: int) -> Dict[str, np.ndarray]:
    return {n: np.arange(2 * c, dtype=np.float32).reshape(c, 2) for n, c in lengths.items()}


def in_a_file(folder: Path, data: Mapping[str, np.ndarray]) -> DataSource:
    np.savez(folder / "x.npz", **data)
    return NpzSource(str(folder / "x.npz"))


@pytest.fixture(params=["in memory", "in a file"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Return a function that makes a data source of arrays."""

    def made(**lengths: int) -> DataSource:
        data = arrays(**lengths)
        return ArraySource(data) if request.param == "in memory" else in_a_file(tmp_path, data)

    return made


def rows(found: Sequence[Mapping[str, np.ndarray]]) -> List[Dict[str, int]]:
    return [{name: len(array) for name, array in batch.items()} for batch in found]


def assert_in_order(found: Sequence[Mapping[str, np.ndarray]], **lengths: int) -> None:
    for name, whole in arrays(**lengths).items():
        np.testing.assert_array_equal(np.concatenate([batch[name] for batch in found]), whole)


def test_inputs_of_one_length_are_divided_at_the_batch_size(source: Any) -> None:
    divided = batches(source(a=5, b=5), {"a": (1, 2), "b": (7, 2)}, batch_size=2)
    found = list(divided)
    assert rows(found) == [{"a": 2, "b": 2}, {"a": 2, "b": 2}, {"a": 1, "b": 1}]
    assert divided.samples == 5
    assert_in_order(found, a=5, b=5)


def test_inputs_of_other_lengths_come_in_the_batches_that_the_network_declares(
    source: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        divided = batches(source(frames=12, cont=6), FRAMES, batch_size=4)
    found = list(divided)
    assert rows(found) == [{"frames": 6, "cont": 3}] * 2
    assert divided.samples == 12
    assert "is ignored" in caplog.text
    assert_in_order(found, frames=12, cont=6)


@pytest.mark.parametrize("lengths", [{"frames": 8, "cont": 4}, {"frames": 12, "cont": 3}])
def test_what_is_no_whole_number_of_batches_is_one_batch(
    source: Any, lengths: Dict[str, int]
) -> None:
    found = list(batches(source(**lengths), FRAMES, batch_size=2))
    assert rows(found) == [lengths]
    assert_in_order(found, **lengths)


def test_a_network_that_joins_the_rows_of_a_batch_gets_whole_ones(source: Any) -> None:
    shapes = {"x": (3, 2), "cont": (3, 2)}
    found = list(batches(source(x=6, cont=6), shapes, batch_size=2, divisible=False))
    assert rows(found) == [{"x": 3, "cont": 3}] * 2


def test_arrays_that_are_no_inputs_do_not_count(source: Any) -> None:
    found = list(batches(source(data=4, labels=9), {"data": (1, 2)}, batch_size=3))
    assert rows(found) == [{"data": 3}, {"data": 1}]


def test_no_data_for_any_input_is_an_error(source: Any) -> None:
    with pytest.raises(ModelError, match=r"\{'other': 4\} samples.*\['data'\]"):
        batches(source(other=4), {"data": (1, 2)}, batch_size=3)


def test_an_empty_array_is_an_error() -> None:
    with pytest.raises(ModelError, match="more than 0"):
        batches(ArraySource(arrays(frames=6, cont=0)), FRAMES, batch_size=3)


class Layers(NetworkData):
    """Data layers that give three time steps of two streams."""

    @property
    def shapes(self) -> Mapping[str, Sequence[int]]:
        return FRAMES

    def batches(self, count: int) -> Iterator[Dict[str, np.ndarray]]:
        return (arrays(frames=6, cont=3) for _ in range(count))


def test_data_layers_give_their_own_batches(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the deployable network declares; it may be for one sample."""
    declared = {"frames": (1, 2), "cont": (1, 2)}
    divided = batches(DataLayerSource(Layers(), 2), declared, batch_size=4)
    assert rows(list(divided)) == [{"frames": 6, "cont": 3}] * 2
    assert divided.samples == 12
