"""Turns the layers of a TEST net into a net that is fed with arrays."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Sequence, Set

from amct_caffe.model.formats.prototxt.document import Layer
from amct_core.textproto import Message

DATA_TYPES = frozenset(
    {
        "Data",
        "ImageData",
        "HDF5Data",
        "MemoryData",
        "WindowData",
        "DummyData",
        "AnnotatedData",
        "VideoData",
        "DenseImageData",
    }
)
"""Layer types that bring data in."""

SCORE_TYPES = frozenset({"Accuracy"})
"""Layer types that only measure."""

Shapes = Callable[[str], Sequence[int]]
"""Returns the shape of a data blob."""


def is_data(layer: Layer) -> bool:
    """Return whether ``layer`` brings data in (Python layers without bottoms do)."""
    if layer.type in DATA_TYPES:
        return True
    return layer.type == "Python" and not layer.bottoms


def is_loss(layer: Layer) -> bool:
    """Return whether ``layer`` computes a loss."""
    return layer.type.endswith("Loss")


def to_inference(layers: Sequence[Layer], shape_of: Shapes) -> List[Layer]:
    """Return copies of ``layers`` that run without data sources and labels.

    1. SoftmaxWithLoss becomes Softmax.  Its top is the second top of the loss, which is the same
       tensor; without one ``prob``, or the layer's own name where that is taken.
    2. Other losses and Accuracy layers go, and Silence layers with them.
    3. A layer whose results only went there as labels (bottom 1 and up) goes too.
    4. Each data layer's surviving tops become one ``Input`` layer each, of the shape that
       ``shape_of`` tells; tops that nobody reads any more go.
    5. So does an ``Input`` layer of several tops (ATC takes one each), or with a top that is not
       read; others stay as they are.
    6. ``include`` and ``exclude`` go: ATC takes an ``include`` without a phase for one of TRAIN.

    Args:
        layers: the layers of the TEST phase in execution order.
        shape_of: shape of a data blob, batch size first; asked only for blobs that survive.
    """
    kept = _without_scores([layer.copy() for layer in layers])
    result: List[Layer] = []
    read = {bottom for layer in kept for bottom in layer.bottoms}
    for layer in kept:
        layer.message.remove("include")
        layer.message.remove("exclude")
        single = len(layer.tops) == 1 and read.issuperset(layer.tops)
        if not is_data(layer) and (layer.type != "Input" or single):
            result.append(layer)
            continue
        for top in layer.tops:
            if top in read:
                result.append(input_layer(top, shape_of(top)))
    return result


def input_layer(blob: str, shape: Sequence[int]) -> Layer:
    """Return an ``Input`` layer called like its blob."""
    layer = Layer.create(blob, "Input", [], [blob])
    dims = Message()
    for dim in shape:
        dims.add("dim", int(dim))
    parameters = Message()
    parameters.set("shape", dims)
    layer.message.set("input_param", parameters)
    return layer


def with_input_shapes(layers: Sequence[Layer], shape_of: Shapes) -> List[Layer]:
    """Return ``layers`` with ``Input`` layers of the shapes that ``shape_of`` tells."""
    result: List[Layer] = []
    for layer in layers:
        if layer.type == "Input":
            result += [input_layer(top, shape_of(top)) for top in layer.tops]
        else:
            result.append(layer)
    return result


def data_blobs(layers: Sequence[Layer]) -> List[str]:
    """Return the blobs that :func:`to_inference` makes inputs of, Input layers' own included."""
    kept = _without_scores([layer.copy() for layer in layers])
    read = {bottom for layer in kept for bottom in layer.bottoms}
    return [
        top
        for layer in kept
        if is_data(layer) or layer.type == "Input"
        for top in layer.tops
        if top in read
    ]


def _without_scores(layers: List[Layer]) -> List[Layer]:
    labels: Set[str] = set()
    blobs = {blob for layer in layers for blob in layer.tops}
    kept: List[Layer] = []
    for layer in layers:
        if layer.type in SCORE_TYPES or is_loss(layer):
            labels.update(layer.bottoms[1:])
            softmax = _as_softmax(layer, blobs)
            if softmax is not None:
                blobs.update(softmax.tops)
                kept.append(softmax)
        elif layer.type != "Silence":
            kept.append(layer)
    return _without_label_branches(kept, labels)


def _as_softmax(layer: Layer, blobs: Set[str]) -> Optional[Layer]:
    if layer.type != "SoftmaxWithLoss":
        return None
    invented = layer.name if "prob" in blobs else "prob"
    tops = layer.tops[1:2] or [invented]
    softmax = Layer.create(layer.name, "Softmax", layer.bottoms[:1], tops)
    parameters = layer.message.message("softmax_param")
    if parameters is not None:
        softmax.message.set("softmax_param", parameters.copy())
    return softmax


def _without_label_branches(layers: List[Layer], labels: Set[str]) -> List[Layer]:
    """Drop layers, last to first, all of whose results were read as labels only."""
    readers: Dict[str, int] = {}
    for layer in layers:
        for bottom in layer.bottoms:
            readers[bottom] = readers.get(bottom, 0) + 1
    kept: List[Layer] = []
    for layer in reversed(layers):
        only_labels = all(top in labels and not readers.get(top) for top in layer.tops)
        if layer.bottoms and layer.tops and only_labels:
            for bottom in layer.bottoms:
                readers[bottom] -= 1
                labels.add(bottom)
            continue
        kept.append(layer)
    return kept[::-1]
