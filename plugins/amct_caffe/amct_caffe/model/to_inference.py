"""Turns the layers of a TEST net into a net that is fed with arrays."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Sequence, Set

from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.model.layer_type import layer_type, role_of
from amct_core.extensions import Role
from amct_core.textproto import Message

Shapes = Callable[[str], Sequence[int]]
"""Returns the shape of a data blob."""


def is_data(layer: Layer) -> bool:
    """Return whether ``layer`` brings data in."""
    return role_of(layer) is Role.DATA


def to_inference(layers: Sequence[Layer], shape_of: Shapes) -> List[Layer]:
    """Return copies of ``layers`` that run without data sources and labels.

    1. A loss that has a form for inference takes it: SoftmaxWithLoss becomes Softmax.  Its top is
       the second top of the loss, which is the same tensor; without one ``prob``, or the layer's
       own name where that is taken.
    2. Other losses and scores go, and so do layers that only keep blobs from being outputs.
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
        if not is_data(layer) and (role_of(layer) is not Role.INPUT or single):
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
        if role_of(layer) is Role.INPUT:
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
        if role_of(layer) in (Role.DATA, Role.INPUT)
        for top in layer.tops
        if top in read
    ]


def _without_scores(layers: List[Layer]) -> List[Layer]:
    labels: Set[str] = set()
    blobs = {blob for layer in layers for blob in layer.tops}
    kept: List[Layer] = []
    for layer in layers:
        role = role_of(layer)
        if role in (Role.SCORE, Role.LOSS):
            labels.update(layer.bottoms[1:])
            deployed = _as_deployed(layer, blobs)
            if deployed is not None:
                blobs.update(deployed.tops)
                kept.append(deployed)
        elif role is not Role.SINK:
            kept.append(layer)
    return _without_label_branches(kept, labels)


def _as_deployed(layer: Layer, blobs: Set[str]) -> Optional[Layer]:
    known = layer_type(layer)
    if known.deployed_as is None:
        return None
    invented = layer.name if "prob" in blobs else "prob"
    tops = layer.tops[1:2] or [invented]
    deployed = Layer.create(layer.name, known.deployed_as, layer.bottoms[:1], tops)
    parameters = layer.message.message(known.parameters)
    if parameters is not None:
        deployed.message.set(known.parameters, parameters.copy())
    return deployed


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
