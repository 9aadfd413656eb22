"""A saved network with its data, loss and accuracy layers taken out in memory.

AMCT's layout of a deployable model is the TEST network as it was tested.  What simulates, checks or
converts such a model works on what would be left of it: the same that the layout for ATC consists
of (:mod:`amct_caffe.model.to_inference`).
"""

from __future__ import annotations

from typing import Dict, Optional, Sequence

import attrs

from amct_caffe.model.formats.prototxt.document import Layer, NetDocument
from amct_caffe.model.input_shapes import input_shapes
from amct_caffe.model.layer_type import role_of
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.recorded_shapes import recorded_shapes
from amct_caffe.model.to_graph import to_graph
from amct_caffe.model.to_inference import Shapes, to_inference
from amct_core.errors import ModelError
from amct_core.extensions import Role
from amct_core.extensions.layer_type import Shape

_OF_TRAINING = (Role.DATA, Role.LOSS, Role.SCORE)


@attrs.frozen
class InferenceLayers:
    """What is left of a network.

    Attributes:
        layers: in execution order; copies.
        taken_out: those that are gone, or stand in another form in ``layers``.
    """

    layers: Sequence[Layer]
    taken_out: Sequence[Layer]


def has_training_layers(layers: Sequence[Layer]) -> bool:
    """Return whether one of ``layers`` is a data, loss or accuracy layer."""
    return any(role_of(layer) in _OF_TRAINING for layer in layers)


def inference_layers(layers: Sequence[Layer], shape_of: Shapes) -> InferenceLayers:
    """Return what is left of ``layers`` once data, loss and accuracy layers are taken out.

    Args:
        layers: of the TEST phase, in execution order.
        shape_of: see :func:`to_inference`.
    """
    left = to_inference(layers, shape_of)
    same = {(layer.name, layer.type) for layer in left}
    return InferenceLayers(left, [each for each in layers if (each.name, each.type) not in same])


def inference_network(network: CaffeNetwork) -> CaffeNetwork:
    """Return the TEST network without data, loss and accuracy layers.

    An input whose shape nothing tells becomes an ``Input`` layer without one.

    Raises:
        AmctError: the weights do not fit the network, or a recorded shape cannot be read.
    """
    left = inference_layers(network.document.layers_in("TEST"), shapes_for_inference(network).get)
    document = NetDocument.create(network.document.name, list(left.layers))
    return attrs.evolve(network, document=document)


def shapes_for_inference(network: CaffeNetwork) -> Dict[str, Optional[Shape]]:
    """Return the shapes of the inputs of the TEST network, batch size first; None where unknown.

    They are those that the model was saved with (:mod:`amct_caffe.model.recorded_shapes`).  Where
    none is recorded, or the prototxt tells another since, what
    :func:`amct_caffe.model.input_shapes.input_shapes` finds counts.

    Raises:
        AmctError: the weights do not fit the network, or a recorded shape cannot be read.
    """
    layers = network.document.layers_in("TEST")
    found = input_shapes(layers, to_graph(network, "TEST"), {}, network.model_file).deployed
    shapes = dict(found)
    for blob, recorded in recorded_shapes(network.model_file).items():
        if blob in shapes:
            own = shapes[blob]
            shapes[blob] = recorded if own is None or own[1:] == recorded[1:] else own
    return shapes


def require_shapes(network: CaffeNetwork) -> None:
    """Check that the inputs of a network that :func:`inference_network` returned have shapes.

    Raises:
        ModelError: the layer that an Input stands for does not tell it.
    """
    for layer in network.document.layers:
        if role_of(layer) is Role.INPUT and layer.message.message("input_param") is None:
            raise ModelError(
                f"the shape of input '{layer.tops[0]}' is not known: neither the parameters of its "
                "data layer, nor weights, nor files of data that can be read here, nor the "
                "*_quant.json beside it tell it.",
                file=network.model_file,
                remedy="Save with the deploy backend 'ascend' (amct qat save --backend ascend), or "
                "write an Input layer with input_param { shape { dim: ... } } in place of the data "
                "layer.",
            )
