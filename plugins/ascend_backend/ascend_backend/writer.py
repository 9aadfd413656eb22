"""Writes the deployable model: prototxt, caffemodel, and the map of names with the digests.

Formats: ATC's Caffe parser (Ascend/parser, caffe_parser.cc, caffe_op_parser.cc) and the op plugins
of canndev.  What an entry of the binary file says is in :mod:`ascend_backend.weights_entries`.
"""

from __future__ import annotations

import json
from typing import Mapping, Sequence, Tuple

from amct_caffe.model import saved_set
from amct_caffe.model.formats.caffemodel import writer as caffemodel
from amct_caffe.model.formats.prototxt.document import Layer, NetDocument
from amct_caffe.model.layer_type import role_of
from amct_caffe.model.recorded_shapes import as_json
from amct_caffe.model.shapes_of_inputs import InputShapes
from amct_caffe.model.to_inference import data_blobs, input_layer, to_inference
from amct_core.extensions import Role
from amct_core.file_names import deploy_files, name_map_file
from amct_core.files import FileSet
from amct_core.quantized_model import QuantizedModel
from ascend_backend.detection_output import ssd_detection_outputs
from ascend_backend.name_map import name_map
from ascend_backend.rendering import render_deploy
from ascend_backend.weights_entries import entry_fields


def write_deploy_model(
    model: QuantizedModel, save_path: str, files: FileSet, keep_training_layers: bool = False
) -> None:
    """Stage the deployable model.

    ``<save_path>_deploy_model.prototxt``, ``<save_path>_deploy_weights.caffemodel`` and
    ``<save_path>_quant.json``.

    Args:
        model: what to write.
        save_path: folder and prefix of the files.
        files: where they are staged.
        keep_training_layers: leave data, loss and accuracy layers of the TEST phase in, and
            DetectionOutput as it is, for a user who rewrites them by hand; ATC refuses them.

    Raises:
        ModelError: the shape of a network input is not known, a quantized layer would be missing,
            or a DetectionOutput cannot be expressed as the SSDDetectionOutput that ATC takes.
    """
    rendered = render_deploy(model)
    layers: Sequence[Layer] = rendered.layers
    shapes = InputShapes(model)
    if not keep_training_layers:
        layers = to_inference(layers, shapes)
        layers = ssd_detection_outputs(layers, model.graph.file)
    layers = [_of_given_shape(layer, model.input_shapes) for layer in layers]
    document = NetDocument.create(model.graph.name, layers)
    names = deploy_files(save_path)
    model.check_kept({layer.name for layer in layers}, names.model)
    files.add(names.model, document.format())
    with files.open(names.weights) as stream:
        entries = [
            (layer.name, layer.type, rendered.blobs[layer.name])
            for layer in layers
            if layer.name in rendered.blobs
        ]
        caffemodel.write(stream, document.name, entries, entry_fields(layers))
    names_of_layers = name_map(model, layers)
    if keep_training_layers:
        # Data layers stay, and need not tell what shape their data have.
        names_of_layers.update(as_json(shapes.known(data_blobs(layers))))
    names_of_layers.update(saved_set.as_json(files, save_path, model.made_from, model.float_model))
    files.add(name_map_file(save_path), json.dumps(names_of_layers, indent=2) + "\n")


def _of_given_shape(layer: Layer, shapes: Mapping[str, Tuple[int, ...]]) -> Layer:
    """Return ``layer``; an Input of its own whose shape is given gets that, under its own name."""
    if role_of(layer) is not Role.INPUT or len(layer.tops) != 1 or layer.tops[0] not in shapes:
        return layer
    given = input_layer(layer.tops[0], shapes[layer.tops[0]])
    layer.message.set("input_param", given.parameters("input_param"))
    return layer
