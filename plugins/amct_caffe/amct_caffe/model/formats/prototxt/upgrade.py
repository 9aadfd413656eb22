"""Upgrades old prototxt files as Caffe does when it reads them.

Source of the rules: BVLC Caffe, ``UpgradeNetAsNeeded`` in upgrade_proto.cpp.
"""

from __future__ import annotations

from typing import List, Optional

import attrs

from amct_caffe.model.formats.prototxt.layer import Layer, ParamSpec
from amct_caffe.model.formats.v1 import v1_layer_type
from amct_core.errors import FileFormatError
from amct_core.textproto import Field, Message

_V1_PARAM_FIELDS = ("blobs_lr", "weight_decay", "param", "blob_share_mode")
_INPUT_FIELDS = ("input", "input_dim", "input_shape")
_TRANSFORM_FIELDS = ("scale", "mean_file", "crop_size", "mirror")
_TRANSFORMED = {
    "Data": "data_param",
    "ImageData": "image_data_param",
    "WindowData": "window_data_param",
}
_LEGACY_AXES = 4


def upgrade_net(message: Message, file: Optional[str]) -> Message:
    """Return a network in today's format.

    1. ``layers { type: CONVOLUTION }`` becomes ``layer { type: "Convolution" }``.
    2. In such layers ``blobs_lr``, ``weight_decay``, ``param`` (names) and ``blob_share_mode``
       become ``param { }``, and ``scale``, ``mean_file``, ``crop_size`` and ``mirror`` of data
       layers move to ``transform_param``.
    3. ``input`` with ``input_shape`` or ``input_dim`` becomes one Input layer called ``input``,
       the first of the net; ``input`` without a shape goes.
    4. The three ``param { }`` that BatchNorm layers once needed get multipliers of 0: stored
       statistics are not trained.

    All other fields stay as they are, in order.

    Raises:
        FileFormatError: the file is in the V0 format, mixes ``layer`` and ``layers``, has a V1 type
            that does not exist, or inputs without their shapes.
    """
    if message.has("layers") and message.has("layer"):
        raise FileFormatError(
            "it has both 'layer' and 'layers' fields; expected one kind.",
            file=file,
            field="layers",
            remedy="Write all layers as 'layer { type: \"...\" }'.",
        )
    upgraded = Message(line=message.line, file=message.file)
    for field in message:
        if field.name == "layers" and isinstance(field.value, Message):
            upgraded.entries.append(Field("layer", _upgrade_v1(field.value, file), field.line))
        elif field.name not in _INPUT_FIELDS:
            upgraded.entries.append(field)
    _put_input_first(upgraded, _input_layer(message, file))
    for layer in upgraded.messages("layer"):
        _fix_batch_norm(Layer(layer))
    return upgraded


def _upgrade_v1(old: Message, file: Optional[str]) -> Message:
    if old.has("layer"):
        raise FileFormatError(
            f"line {old.line}: found a layer in the V0 format of 2013; expected V1 or the present "
            "format.",
            file=file,
            layer=old.string("name"),
            field="layer",
            remedy="Convert the file with Caffe's upgrade_net_proto_text.",
        )
    new = Message(line=old.line, file=old.file)
    for field in old:
        if field.name == "type":
            new.add("type", _present_type(old, file))
        elif field.name not in _V1_PARAM_FIELDS:
            new.entries.append(field)
    layer = Layer(new)
    specs = _param_specs(old)
    if specs:
        layer.param_specs = specs
    _move_transformation(layer)
    return new


def _present_type(old: Message, file: Optional[str]) -> str:
    name = old.enum("type") or "NONE"
    present = v1_layer_type(name)
    if present is None:
        raise FileFormatError(
            f"line {old.line}: found layer type {name}; expected one of the V1 format.",
            file=file,
            layer=old.string("name"),
            field="type",
            remedy="Write the network with 'layer { type: \"...\" }'.",
        )
    return present


def _param_specs(old: Message) -> List[ParamSpec]:
    names = old.strings("param")
    modes = old.enums("blob_share_mode")
    rates = old.numbers("blobs_lr")
    decays = old.numbers("weight_decay")
    count = max(len(names), len(modes), len(rates), len(decays))
    return [
        ParamSpec(
            name=names[index] if index < len(names) else None,
            lr_mult=rates[index] if index < len(rates) else None,
            decay_mult=decays[index] if index < len(decays) else None,
            share_mode=modes[index] if index < len(modes) else None,
        )
        for index in range(count)
    ]


def _move_transformation(layer: Layer) -> None:
    """Move what V1's data layers say about transformation to ``transform_param``."""
    parameters = layer.message.message(_TRANSFORMED.get(layer.type, ""))
    if parameters is None or not any(parameters.has(name) for name in _TRANSFORM_FIELDS):
        return
    transformation = layer.message.message("transform_param")
    if transformation is None:
        transformation = Message()
        layer.message.add("transform_param", transformation)
    for name in _TRANSFORM_FIELDS:
        for value in parameters.fields(name)[-1:]:
            transformation.set(name, value)
        parameters.remove(name)


def _input_layer(message: Message, file: Optional[str]) -> Optional[Layer]:
    names = message.strings("input")
    if not names or not (message.has("input_shape") or message.has("input_dim")):
        return None
    if message.has("input_shape"):
        field = "input_shape"
        shapes = [shape.copy() for shape in message.messages(field)]
    else:
        field = "input_dim"
        shapes = _shapes_of(message.integers(field))
    if len(shapes) < len(names) or any(not shape.entries for shape in shapes):
        raise FileFormatError(
            f"found {len(shapes)} shapes for {len(names)} inputs; expected one for each.",
            file=file,
            field=field,
            remedy="Give each input four input_dim values, or one input_shape.",
        )
    layer = Layer.create("input", "Input", [], names)
    parameters = Message()
    for shape in shapes[: len(names)]:
        parameters.add("shape", shape)
    layer.message.add("input_param", parameters)
    return layer


def _shapes_of(dims: List[int]) -> List[Message]:
    shapes = []
    for start in range(0, len(dims) - _LEGACY_AXES + 1, _LEGACY_AXES):
        shape = Message()
        for dim in dims[start : start + _LEGACY_AXES]:
            shape.add("dim", dim)
        shapes.append(shape)
    return shapes


def _put_input_first(message: Message, layer: Optional[Layer]) -> None:
    if layer is None:
        return
    names = [entry.name for entry in message]
    index = names.index("layer") if "layer" in names else len(names)
    message.entries.insert(index, Field("layer", layer.message))


def _fix_batch_norm(layer: Layer) -> None:
    specs = layer.param_specs
    if layer.type == "BatchNorm" and len(specs) == 3:
        layer.param_specs = [attrs.evolve(s, lr_mult=0.0, decay_mult=0.0) for s in specs]
