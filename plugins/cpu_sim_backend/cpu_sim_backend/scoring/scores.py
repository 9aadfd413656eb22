"""What of a network is judged, and how."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ConfigError, QuantizationError
from amct_core.extensions import Role
from amct_core.graph import Graph, Node, Value
from cpu_sim_backend.scoring.metrics import Metric, metric_function

Array = NDArray[Any]


@attrs.frozen(eq=False)
class Scoring:
    """How outputs are judged.

    Attributes:
        values: what has to be computed, by the names that the metric knows.
        score: ``(outputs, labels) -> scores``: one number per sample, or one for all.
    """

    values: Mapping[str, Value]
    score: Metric


def accuracy_layer(graph: Graph) -> Optional[Node]:
    """Return the first Accuracy layer of the network; None if it has none."""
    return next((node for node in graph.nodes if node.op == "Accuracy"), None)


def scoring_for(graph: Graph, metric: Optional[str], blob: Optional[str]) -> Scoring:
    """Return how the outputs of ``graph`` are judged.

    Args:
        graph: the TEST network.
        metric: ``module:function``; None: the share of labels among the largest scores.
        blob: what holds the scores; None: what the Accuracy layer reads, else the only output.

    Raises:
        ConfigError: the function or the scores cannot be found.
    """
    if metric is not None:
        values = [graph.final_value(blob)] if blob else list(judged_outputs(graph))
        return Scoring({value.name: value for value in values}, metric_function(metric))
    layer = accuracy_layer(graph)
    top_k = 1 if layer is None else int(getattr(layer.attributes, "top_k", 1))
    if blob is not None:
        value = graph.final_value(blob)
    elif layer is not None:
        value = layer.inputs[0]
    else:
        outputs = judged_outputs(graph)
        if len(outputs) != 1:
            raise ConfigError(
                f"the network has no Accuracy layer, and the outputs "
                f"{', '.join(each.name for each in outputs)}; expected one.",
                file=str(graph.file),
                remedy="Name the blob of the scores with --scores, or give --metric.",
            )
        (value,) = outputs
    return Scoring({value.name: value}, TopK(value.name, top_k))


def judged_outputs(graph: Graph) -> Sequence[Value]:
    """Return the outputs; in place of a loss or an accuracy, what it judges."""
    found: Dict[Value, None] = {}
    for value in graph.outputs:
        node = graph.producer(value)
        judges = node is not None and node.type.role_of(node.source) in (Role.LOSS, Role.SCORE)
        found[node.inputs[0] if node is not None and judges else value] = None
    return tuple(found)


@attrs.frozen
class TopK:
    """Caffe's Accuracy, sample by sample: a score equal to the label's own counts as larger.

    Attributes:
        blob: the scores.
        top_k: among how many of the largest the label has to be.
    """

    blob: str
    top_k: int

    def __call__(self, outputs: Mapping[str, Array], labels: Optional[Array]) -> Array:
        """Return 1 where the label is among the largest, else 0; float64, one per sample."""
        if labels is None:
            raise ConfigError(
                "there are no labels.",
                field="labels",
                remedy="Put an array 'label' into the .npz file, or give --labels or --metric.",
            )
        ranks = label_ranks(self.blob, np.asarray(outputs[self.blob]), labels)
        right: Array = (ranks <= self.top_k).astype(np.float64)
        return right


def label_ranks(blob: str, scores: Array, labels: Array, first: int = 0) -> Array:
    """Return by sample how many scores are at least as large as that of its label; 1 is the best.

    Args:
        blob: name of the scores, for messages.
        scores: (N, classes), perhaps with axes of size 1 behind.
        labels: class indices, int64 (N,).
        first: number of the first sample, for messages.

    Raises:
        ConfigError: these are no scores of classes, or a label is no class.
        QuantizationError: a score is NaN.
    """
    scores = _rows(blob, scores, labels)
    wrong = (labels < 0) | (labels >= scores.shape[1])
    if wrong.any():
        index = int(np.flatnonzero(wrong)[0])
        raise ConfigError(
            f"label {int(labels[index])} of sample {first + index} is outside "
            f"0..{scores.shape[1] - 1}, the classes of blob '{blob}'.",
            field="labels",
            remedy="Give class indices that begin with 0.",
        )
    unknown = np.isnan(scores).any(axis=1)
    if unknown.any():
        raise QuantizationError(
            f"blob '{blob}' holds NaN for sample {first + int(np.flatnonzero(unknown)[0])}; it "
            "cannot be judged.",
            remedy="Check the weights file and the preprocessing of the data.",
        )
    own = np.take_along_axis(scores, labels[:, None].astype(np.int64), 1)
    ranks: Array = (scores >= own).sum(1)
    return ranks


def _rows(blob: str, scores: Array, labels: Array) -> Array:
    """Return one row of scores per label."""
    remedy = "Name the blob of the class scores with --scores, or give --metric."
    if any(size != 1 for size in scores.shape[2:]):
        raise ConfigError(
            f"blob '{blob}' gives scores of shape {scores.shape}; expected one score per "
            "class, (N, classes), and nothing but axes of size 1 behind that.",
            field="scores",
            remedy=remedy,
        )
    rows = scores.reshape(len(scores), -1)
    if rows.shape[1] < 2 or len(labels) != len(rows):
        raise ConfigError(
            f"blob '{blob}' gives scores of shape {rows.shape} for {len(labels)} "
            "labels; expected one row of classes for each label.",
            field="labels",
            remedy=remedy,
        )
    return rows
