"""How a data set is divided into batches for a network.

The arrays of most networks count samples on their first axis, all of them as many.  Others do not:
an LSTM's ``cont`` counts time steps, regions of interest are more than images.  There the shapes
that the network declares say which rows belong together.
"""

from __future__ import annotations

import logging
from typing import Dict, Iterator, Mapping, Sequence

import attrs

from amct_core.errors import ModelError
from cpu_sim_backend.data.source import Batch, DataSource

_log = logging.getLogger("cpu_sim_backend.data")


@attrs.frozen
class Batches:
    """A data set in the batches that a network takes.

    Attributes:
        source: the data.
        rows: how many rows of each array one batch has, the last one perhaps fewer.
        samples: rows of the network's first input.
    """

    source: DataSource
    rows: Mapping[str, int]
    samples: int

    def __iter__(self) -> Iterator[Batch]:
        return self.source.read_rows(self.rows)


def batches(
    source: DataSource,
    shapes: Mapping[str, Sequence[int]],
    batch_size: int,
    divisible: bool = True,
) -> Batches:
    """Return how ``source`` is divided.

    Arrays that are as long as each other are divided at ``batch_size``, in networks that may be
    given any number of samples.  Otherwise a batch is what the network declares, if the arrays hold
    a whole number of such batches; else all rows are one batch.

    Args:
        source: one array per network input; others are ignored.
        shapes: of the network's inputs, as it declares them.
        batch_size: samples per batch, at most.
        divisible: whether the samples of a batch do not depend on each other.

    Raises:
        ModelError: there are no data for any input, or an array is empty.
    """
    lengths = {name: source.lengths[name] for name in shapes if name in source.lengths}
    if not lengths or 0 in lengths.values():
        raise ModelError(
            f"the arrays have {dict(source.lengths)} samples; expected one array for each of "
            f"{list(shapes)}, with more than 0.",
            remedy="Give one array per network input, keyed by blob name.",
        )
    samples = next(iter(lengths.values()))
    if divisible and len(set(lengths.values())) == 1:
        return Batches(source, dict.fromkeys(lengths, batch_size), samples)
    own = source.rows_of_batch or {name: shapes[name][0] for name in lengths if shapes[name]}
    rows = _whole_batches(lengths, own)
    _log.info(
        "the inputs have %s rows and are taken in batches of %s rows; the batch size that is asked "
        "for is ignored",
        lengths,
        rows,
    )
    return Batches(source, rows, samples)


def _whole_batches(lengths: Mapping[str, int], own: Mapping[str, int]) -> Dict[str, int]:
    """Return ``own`` if all arrays hold the same whole number of such batches, else all rows."""
    rows = {name: own.get(name, 0) for name in lengths}
    if all(rows.values()):
        counts = {divmod(lengths[name], count) for name, count in rows.items()}
        if len(counts) == 1 and not next(iter(counts))[1]:
            return rows
    return dict(lengths)
