"""Reads a model for the lint: leniently, so that every fault is found and none ends the search.

Only a file that is no prototxt or no protobuf message at all is an error here.
"""

from __future__ import annotations

from typing import Iterator, Optional

from amct_caffe.model.formats.caffemodel.scan import scan
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.saved_set import check_saved_set
from amct_core.errors import ModelError
from amct_core.files import map_file, read_text
from amct_core.textproto import Message, parse
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.training_layers import without_training_layers
from ascend_backend.lint.weights_file import WeightsFile
from ascend_backend.targets import Target

_INPUT_DIMS = 4
"""Net-level ``input_dim`` has four numbers per input."""


def read_model(model_file: str, weights_file: str, target: Optional[Target] = None) -> DeployModel:
    """Read a prototxt and its weights file.

    Raises:
        FileFormatError: a file is missing, no text in prototxt's syntax, or no protobuf message.
    """
    net = parse(read_text(model_file), model_file)
    declared = tuple(Layer(message) for message in net.messages("layer"))
    kept = [layer for layer in declared if not is_dropped(layer)]
    left = without_training_layers(kept, model_file, weights_file)
    weights = read_weights(weights_file)
    try:
        check_saved_set(declared, model_file, weights_file)
        mixed = None
    except ModelError as error:
        mixed = error
    return DeployModel(
        net=net,
        declared=declared,
        layers=(*left.layers, *net_inputs(net)),
        weights=weights,
        target=target,
        file=model_file,
        taken_out=tuple(left.taken_out),
        mixed=mixed,
    )


def is_dropped(layer: Layer) -> bool:
    """Return whether ATC drops ``layer``: an ``include`` of it has phase TRAIN, the default.

    Source: ``CheckValidLayer`` of hicann/ge parser/parser/caffe/caffe_parser.cc.
    """
    phases = [include.enum("phase", "TRAIN") for include in layer.message.messages("include")]
    return any(phase in ("TRAIN", "0") for phase in phases)


def net_inputs(net: Message) -> Iterator[Layer]:
    """Yield the ``Input`` layers that stand for net-level ``input`` fields."""
    dims = net.integers("input_dim")
    shapes = [shape.integers("dim") for shape in net.messages("input_shape")]
    if dims:
        shapes = [dims[i : i + _INPUT_DIMS] for i in range(0, len(dims), _INPUT_DIMS)]
    for index, name in enumerate(net.strings("input")):
        layer = Layer.create(name, "Input", [], [name])
        if index < len(shapes):
            parameters, shape = Message(), Message()
            shape.set_all("dim", shapes[index])
            parameters.add("shape", shape)
            layer.message.add("input_param", parameters)
        yield layer


def read_weights(path: str) -> WeightsFile:
    """Read a weights file.

    Raises:
        FileFormatError: it is missing or no protobuf message.
    """
    layers = scan(map_file(path), path).layers
    present = tuple(layer for layer in layers if not layer.is_v1)
    for layer in present:
        _ = layer.blobs  # so that one that is no message at all is found now
    return WeightsFile(present, len(layers) - len(present), path)
