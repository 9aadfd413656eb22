"""The batches that the network's own data layers give in its framework."""

from __future__ import annotations

from typing import Iterator, Mapping

import numpy as np

from amct_core.errors import ConfigError, ModelError
from amct_core.extensions.frontend import NetworkData
from cpu_sim_backend.data.source import ArraySource, Batch, DataSource


class DataLayerSource(DataSource):
    """A number of batches of a network's data layers, from their beginning at each reading.

    Args:
        data: the data layers, as :meth:`Frontend.network_data` gives them.
        iterations: how many of their batches; as Caffe's ``test_iter``, they may go round.

    Raises:
        ConfigError: ``iterations`` is below 1.
    """

    def __init__(self, data: NetworkData, iterations: int) -> None:
        if iterations < 1:
            raise ConfigError(
                f"it is {iterations}; expected an integer above 0.", field="iterations"
            )
        self._data = data
        self._iterations = iterations

    @property
    def lengths(self) -> Mapping[str, int]:
        """The number of samples that the data layers give for each input."""
        return {n: self._iterations * shape[0] for n, shape in self._data.shapes.items()}

    @property
    def rows_of_batch(self) -> Mapping[str, int]:
        """The batch that the data layers give."""
        return {name: shape[0] for name, shape in self._data.shapes.items()}

    def read(self, batch_size: int) -> Iterator[Batch]:
        """Yield the batches, those above ``batch_size`` in pieces.

        Raises:
            ModelError: a data layer changes the shape of its batches on the way.
        """
        return self.read_rows(dict.fromkeys(self._data.shapes, batch_size))

    def read_rows(self, rows: Mapping[str, int]) -> Iterator[Batch]:
        """Yield the batches, those with more rows in pieces; see above."""
        expected = dict(self._data.shapes)
        for batch in self._data.batches(self._iterations):
            found = {name: np.shape(batch[name]) for name in expected}
            if found != expected:
                raise ModelError(
                    f"the data layers gave a batch of {found} after batches of {expected}.",
                    remedy="Let them give batches of one shape.",
                )
            yield from ArraySource({name: batch[name] for name in rows}).read_rows(rows)
