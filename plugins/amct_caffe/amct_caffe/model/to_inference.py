"""Turns the layers of a TEST net into a net that is fed with arrays."""

from __future__ import annotations

from typing import Callable, List, Optional, Sequence

from amct_caffe.model.deployed import deployed_network
from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.model.layer_type import role_of
from amct_core.extensions import Role
from amct_core.textproto import Message

Shapes = Callable[[str], Optional[Sequence[int]]]
"""Returns the shape of a data blob; None where it is not known."""

_OF_TRAINING = ("include", "exclude", "loss_weight")


def to_inference(layers: Sequence[Layer], shape_of: Shapes) -> List[Layer]:
    """Return copies of ``layers`` that run without data sources, labels, losses and scores.

    1. What stays, and in which form, is what :mod:`amct_caffe.model.deployed` says.
    2. Each data layer's surviving tops become one ``Input`` layer each, of the shape that
       ``shape_of`` tells; tops that nobody reads any more go.
    3. So does an ``Input`` layer of several tops (ATC takes one each), or with a top that is not
       read; others stay as they are.
    4. ``include`` and ``exclude`` go: ATC takes an ``include`` without a phase for one of TRAIN.
       ``loss_weight`` goes: only training needs it.

    Args:
        layers: the layers of the TEST phase in execution order.
        shape_of: shape of a data blob, batch size first; asked only for blobs that survive.
    """
    network = deployed_network(layers)
    result: List[Layer] = []
    for layer in network.layers:
        for field in _OF_TRAINING:
            layer.message.remove(field)
        is_source = not layer.bottoms or role_of(layer) is Role.DATA
        inputs = [top for top in layer.tops if top in network.inputs] if is_source else []
        if not inputs or (role_of(layer) is Role.INPUT and len(layer.tops) == 1):
            result.append(layer)
            continue
        result += [input_layer(top, shape_of(top)) for top in inputs]
    return result


def input_layer(blob: str, shape: Optional[Sequence[int]]) -> Layer:
    """Return an ``Input`` layer called like its blob; without parameters if the shape is None."""
    layer = Layer.create(blob, "Input", [], [blob])
    if shape is None:
        return layer
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
    return list(deployed_network(layers).inputs)
