"""Accuracy from outputs and labels: a score per sample, or one for all."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import AmctError, ConfigError, FileFormatError, QuantizationError
from amct_core.extensions import Role
from amct_core.files import read_text
from amct_core.graph import Graph, Node, Value

Array = NDArray[Any]
_ROUNDING = 1e-6

Metric = Callable[[Mapping[str, Array], Optional[Array]], Any]


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
        values = [graph.final_value(blob)] if blob else list(_outputs(graph))
        return Scoring({value.name: value for value in values}, _function(metric))
    layer = accuracy_layer(graph)
    top_k = 1 if layer is None else int(getattr(layer.attributes, "top_k", 1))
    if blob is not None:
        value = graph.final_value(blob)
    elif layer is not None:
        value = layer.inputs[0]
    else:
        outputs = _outputs(graph)
        if len(outputs) != 1:
            raise ConfigError(
                f"the network has no Accuracy layer, and the outputs "
                f"{', '.join(each.name for each in outputs)}; expected one.",
                file=str(graph.file),
                remedy="Name the blob of the scores with --scores, or give --metric.",
            )
        (value,) = outputs
    return Scoring({value.name: value}, _TopK(value.name, top_k))


def _outputs(graph: Graph) -> Sequence[Value]:
    """Return the outputs; in place of a loss or an accuracy, what it judges."""
    found: Dict[Value, None] = {}
    for value in graph.outputs:
        node = graph.producer(value)
        judges = node is not None and node.type.role_of(node.source) in (Role.LOSS, Role.SCORE)
        found[node.inputs[0] if node is not None and judges else value] = None
    return tuple(found)


@attrs.frozen
class _TopK:
    """Caffe's Accuracy, sample by sample: a score equal to the label's own counts as larger."""

    blob: str
    top_k: int

    def __call__(self, outputs: Mapping[str, Array], labels: Optional[Array]) -> Array:
        if labels is None:
            raise ConfigError(
                "there are no labels.",
                field="labels",
                remedy="Put an array 'label' into the .npz file, or give --labels or --metric.",
            )
        scores = np.asarray(outputs[self.blob])
        if any(size != 1 for size in scores.shape[2:]):
            raise ConfigError(
                f"blob '{self.blob}' gives scores of shape {scores.shape}; expected one score per "
                "class, (N, classes), and nothing but axes of size 1 behind that.",
                field="scores",
                remedy="Name the blob of the class scores with --scores, or give --metric.",
            )
        scores = scores.reshape(len(scores), -1)
        if scores.shape[1] < 2 or len(labels) != len(scores):
            raise ConfigError(
                f"blob '{self.blob}' gives scores of shape {scores.shape} for {len(labels)} "
                "labels; expected one row of classes for each label.",
                field="labels",
                remedy="Name the blob of the class scores with --scores, or give --metric.",
            )
        wrong = (labels < 0) | (labels >= scores.shape[1])
        if wrong.any():
            index = int(np.flatnonzero(wrong)[0])
            raise ConfigError(
                f"label {int(labels[index])} of sample {index} is outside "
                f"0..{scores.shape[1] - 1}, the classes of blob '{self.blob}'.",
                field="labels",
                remedy="Give class indices that begin with 0.",
            )
        if np.isnan(scores).any():
            raise QuantizationError(
                f"blob '{self.blob}' holds NaN for sample "
                f"{int(np.flatnonzero(np.isnan(scores).any(axis=1))[0])}; it cannot be judged.",
                remedy="Check the weights file and the preprocessing of the data.",
            )
        own = np.take_along_axis(scores, labels[:, None].astype(np.int64), 1)
        right: Array = ((scores >= own).sum(1) <= self.top_k).astype(np.float64)
        return right


def _function(metric: str) -> Metric:
    module, colon, name = metric.partition(":")
    if not (module and colon and name):
        raise ConfigError(f"it is '{metric}'; expected module:function.", field="metric")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # a console script does not have it
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"'{metric}' cannot be imported: {error}.",
            field="metric",
            remedy="Run in the folder of the module, or put that on PYTHONPATH.",
        ) from error
    if not callable(found):
        raise ConfigError(f"'{metric}' is a {type(found).__name__}, no function.", field="metric")
    return _UserMetric(metric, found)


@attrs.frozen
class _UserMetric:
    """A metric of the user's, whose mistakes are told as the user's.

    Attributes:
        name: ``module:function``.
        function: it.
    """

    name: str
    function: Metric

    def __call__(self, outputs: Mapping[str, Array], labels: Optional[Array]) -> Any:
        try:
            return self.function(outputs, labels)
        except AmctError:
            raise
        except Exception as error:  # a user's code may raise anything; its traceback is the cause
            where = traceback.extract_tb(error.__traceback__)[-1]
            raise ConfigError(
                f"'{self.name}' raised {type(error).__name__}: {error} "
                f"('{where.filename}', line {where.lineno}).",
                field="metric",
                remedy="Correct the function; --debug shows the whole traceback.",
            ) from error


def checked_scores(found: Any, samples: int) -> Array:
    """Return what a metric gave as float64.

    Raises:
        ConfigError: it is neither one number from 0 to 1 nor one per sample.
    """
    try:
        scores = np.asarray(found, np.float64)
    except (TypeError, ValueError) as error:
        raise _no_scores(repr(found), samples) from error
    if scores.ndim > 1 or (scores.ndim == 1 and len(scores) != samples):
        raise _no_scores(f"an array of shape {scores.shape}", samples)
    if not np.isfinite(scores).all():
        raise _no_scores("not finite", samples)
    # A mean in float32 may be a little above 1.
    if scores.min(initial=0) < 0 or scores.max(initial=0) > 1 + _ROUNDING:
        raise _no_scores(f"{scores.min():g} to {scores.max():g}", samples)
    return scores


def _no_scores(what: str, samples: int) -> ConfigError:
    return ConfigError(
        f"it gave {what}; expected one number, or one for each of {samples} samples, where 1 is "
        "100 % and 0 is 0 %.",
        field="metric",
        remedy="Scale what the function returns to 0..1: points are hundredths of that.",
    )


def read_labels(path: str) -> Array:
    """Return the labels of a list file: a line per sample, whose last word is its class.

    Raises:
        FileFormatError: a line has no number.
    """
    labels = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            labels.append(int(line.split()[-1]))
        except ValueError as error:
            raise FileFormatError(
                f"line {number} is {line.strip()!r}; expected a class index at its end.",
                file=path,
                remedy="Write one line per sample: '7', or 'image.jpg 7'.",
            ) from error
    return checked_labels(np.asarray(labels), path)


def checked_labels(labels: Array, source: str) -> Array:
    """Return labels as int64, one axis.

    Raises:
        FileFormatError: they are no whole numbers, or more than one per sample.
    """
    flat = labels.reshape(len(labels), -1) if labels.ndim else labels.reshape(0, 1)
    whole = labels.dtype.kind in "iu" or (
        labels.dtype.kind == "f" and bool(np.all(labels == np.rint(labels)))
    )
    if not len(flat) or flat.shape[1] != 1 or not whole:
        raise FileFormatError(
            f"the labels are {labels.dtype} of shape {labels.shape}; expected one class index per "
            "sample.",
            file=source,
            remedy="Give an array of integers, or another metric with --metric.",
        )
    return flat[:, 0].astype(np.int64)
