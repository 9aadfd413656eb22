"""Where labels come from: the user's file, an array beside the data, or the network's own layer."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ConfigError, FileFormatError
from amct_core.graph import Graph
from amct_core.graph.attributes import Data
from cpu_sim_backend.data import Batches, DataLayerSource, DataSource, ImageFolderSource, NpzSource
from cpu_sim_backend.data.choice import DataOptions
from cpu_sim_backend.scoring.labels import (
    checked_labels,
    labels_of_files,
    labels_of_npz,
    read_labels,
)
from cpu_sim_backend.scoring.scores import accuracy_layer

Array = NDArray[Any]


@attrs.frozen
class OwnLabels:
    """What the network's Accuracy layer says.

    Attributes:
        scores: the blob that it judges; None: there is no such layer.
        blob: the blob of its labels.
        from_data: whether a data layer brings that in.
        ignored: the label that does not count.
    """

    scores: Optional[str] = None
    blob: Optional[str] = None
    from_data: bool = False
    ignored: Optional[int] = None


def own_labels(graph: Graph) -> OwnLabels:
    """Return what the first Accuracy layer of a TEST network says."""
    layer = accuracy_layer(graph)
    if layer is None or len(layer.inputs) < 2:
        return OwnLabels()
    scores, labels = layer.inputs[:2]
    producer = graph.producer(labels)
    return OwnLabels(
        scores=scores.name,
        blob=labels.name,
        from_data=producer is not None and isinstance(producer.attributes, Data),
        ignored=getattr(layer.attributes, "ignore_label", None),
    )


@attrs.frozen(eq=False)
class Labels:
    """The labels of a data set.

    Attributes:
        description: where they are from, in words.
        known: one per sample, int64; None: they come with the data.
        blob: what they are called among the data.
        ignored: the label that does not count.
    """

    description: str
    known: Optional[Array] = None
    blob: Optional[str] = None
    ignored: Optional[int] = None

    def of(self, batch: Mapping[str, Array], first: int, count: int) -> Array:
        """Return the labels of a batch of ``count`` samples, of which ``first`` is the number."""
        if self.known is not None:
            return self.known[first : first + count]
        assert self.blob is not None
        return checked_labels(batch[self.blob], self.description)

    def counts(self, labels: Array) -> NDArray[np.bool_]:
        """Return which of them count."""
        ones = np.ones(len(labels), np.bool_)
        return ones if self.ignored is None else np.asarray(labels != self.ignored)


def find_labels(
    options: DataOptions, source: DataSource, labels: Optional[str], own: OwnLabels
) -> Optional[Labels]:
    """Return the labels of ``source``; None: there are none.

    Args:
        options: what the user said about the data.
        source: the data.
        labels: a list file, or the name of an array of an ``.npz`` file; None: what lies beside the
            data.
        own: what the network says.

    Raises:
        AmctError: the file cannot be read, or is not one of labels.
    """
    if isinstance(source, DataLayerSource) and labels is None:
        if not own.from_data or own.blob is None:
            return None
        return Labels(f"blob '{own.blob}' of the data layers", None, own.blob, own.ignored)
    if isinstance(source, NpzSource):
        assert options.data is not None
        found = labels_of_npz(source, options.data, labels, own.blob)
        words = f"'{labels}'" if labels is not None else f"'{options.data}'"
    elif labels is None:
        return None
    elif isinstance(source, ImageFolderSource):
        assert options.data is not None and source.files is not None
        found, words = labels_of_files(labels, source.files, options.data), f"'{labels}'"
    else:
        found, words = read_labels(labels), f"'{labels}'"
    return None if found is None else Labels(words, found, None, own.ignored)


def check_count(labels: Labels, samples: int) -> None:
    """Raise a FileFormatError unless there is one label for each sample."""
    if labels.known is not None and len(labels.known) != samples:
        raise FileFormatError(
            f"there are {len(labels.known)} labels in {labels.description} for {samples} samples.",
            field="labels",
            remedy="Give one label per sample, in the order of the samples.",
        )


def with_labels(batches: Batches, labels: Optional[Labels]) -> Batches:
    """Return batches that have the labels among their arrays, if labels come with the data.

    Raises:
        ConfigError: there is not one label for each sample.
    """
    if labels is None or labels.blob is None:
        return batches
    rows = batches.source.rows_of_batch or {}
    first = next(iter(batches.rows))
    if rows.get(labels.blob) != rows.get(first):
        raise ConfigError(
            f"a batch has {rows.get(labels.blob)} labels for {rows.get(first)} samples of "
            f"'{first}'; expected one for each.",
            field="labels",
            remedy="Give the labels with --labels, or judge with --metric and --labels.",
        )
    all_rows: Dict[str, int] = {**batches.rows, labels.blob: batches.rows[first]}
    return attrs.evolve(batches, rows=all_rows)


def without_labels(batch: Mapping[str, Array], labels: Optional[Labels]) -> Dict[str, Array]:
    """Return what the network is fed with."""
    blob = None if labels is None else labels.blob
    return {name: array for name, array in batch.items() if name != blob}
