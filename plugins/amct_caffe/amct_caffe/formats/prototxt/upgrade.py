"""Upgrades old prototxt files as Caffe does when it reads them.

Source of the rules: BVLC Caffe, upgrade_proto.cpp.
"""

from __future__ import annotations

from typing import List, Optional

import attrs

from amct_caffe.formats.prototxt.layer import Layer, ParamSpec
from amct_caffe.formats.v1 import V1_LAYER_TYPES, v1_layer_type
from amct_core.errors import FileFormatError
from amct_core.textproto import Field, Message

_V1_ONLY = ("type", "blobs_lr", "weight_decay", "param", "blob_share_mode")
_V0_FIELDS = ("num_output", "kernelsize", "biasterm", "batchsize")


def upgrade_net(message: Message, file: Optional[str]) -> Message:
    """Return a network in today's format.

    1. ``layers { type: CONVOLUTION }`` becomes ``layer { type: "Convolution" }``.
    2. ``blobs_lr``, ``weight_decay``, ``param`` (names) and ``blob_share_mode`` become ``param { }``.
    3. ``input`` with ``input_dim`` or ``input_shape`` becomes Input layers.
    4. ``lr_mult`` of BatchNorm's blobs becomes 0: its statistics are not trained.

    Raises:
        FileFormatError: the file is in the V0 format, or mixes ``layer`` and ``layers``.
    """
    upgraded = Message(line=message.line, file=message.file)
    old = message.messages("layers")
    if old and message.has("layer"):
        raise FileFormatError(
            "it has both 'layer' and 'layers' fields; expected one kind.",
            file=file,
            field="layers",
            remedy="Write all layers as 'layer'.",
        )
    inputs = _input_layers(message, file)
    for field in message:
        if field.name in ("input", "input_dim", "input_shape"):
            continue
        if field.name in ("layer", "layers") and inputs:
            upgraded.entries.extend(inputs)
            inputs = []
        if field.name == "layers":
            assert isinstance(field.value, Message)
            upgraded.entries.append(Field("layer", _upgrade_v1(field.value, file), field.line))
        else:
            upgraded.entries.append(field)
    for layer in upgraded.messages("layer"):
        _drop_batch_norm_multipliers(layer)
    return upgraded


def _upgrade_v1(old: Message, file: Optional[str]) -> Message:
    if old.has("layer") or any(old.has(name) for name in _V0_FIELDS):
        raise FileFormatError(
            f"line {old.line}: a layer in Caffe's oldest (V0) format.",
            file=file,
            layer=old.string("name"),
            remedy="Upgrade the file with Caffe's upgrade_net_proto_text.",
        )
    name = old.enum("type", "NONE") or "NONE"
    if name not in V1_LAYER_TYPES.values():
        raise FileFormatError(
            f"line {old.line}: layer type {name} is unknown in this old format.",
            file=file,
            layer=old.string("name"),
            field="type",
            remedy="Write the network with 'layer { type: \"...\" }'.",
        )
    new = Message(line=old.line, file=old.file)
    for field in old:
        if field.name == "type":
            new.add("type", v1_layer_type(name))
        elif field.name not in _V1_ONLY:
            new.entries.append(field)
    if not new.has("type"):
        new.add("type", v1_layer_type(name))
    specs = _param_specs(old)
    if specs:
        Layer(new).param_specs = specs
    return new


def _param_specs(old: Message) -> List[ParamSpec]:
    names = old.strings("param")
    modes = old.enums("blob_share_mode")
    rates = old.numbers("blobs_lr")
    decays = old.numbers("weight_decay")
    specs = [ParamSpec() for _ in range(max(map(len, (names, modes, rates, decays))))]
    for field, values in (
        ("name", names),
        ("share_mode", modes),
        ("lr_mult", rates),
        ("decay_mult", decays),
    ):
        for index, value in enumerate(values):
            specs[index] = attrs.evolve(specs[index], **{field: value})
    return specs


def _input_layers(message: Message, file: Optional[str]) -> List[Field]:
    names = message.strings("input")
    shapes = [shape.integers("dim") for shape in message.messages("input_shape")]
    dims = message.integers("input_dim")
    if dims:
        shapes = [dims[i : i + 4] for i in range(0, len(dims), 4)]
    if names and len(shapes) != len(names):
        raise FileFormatError(
            f"there are {len(names)} inputs and {len(shapes)} shapes; expected one for each.",
            file=file,
            field="input_dim" if dims else "input_shape",
            remedy="Give each input four input_dim values, or one input_shape.",
        )
    layers = []
    for name, shape in zip(names, shapes):
        layer = Layer.create(name, "Input", [], [name])
        dim = Message()
        for size in shape:
            dim.add("dim", size)
        parameters = Message()
        parameters.add("shape", dim)
        layer.message.add("input_param", parameters)
        layers.append(Field("layer", layer.message))
    return layers


def _drop_batch_norm_multipliers(layer: Message) -> None:
    if layer.string("type") != "BatchNorm":
        return
    wrapped = Layer(layer)
    if any(spec.lr_mult != 0 for spec in wrapped.param_specs):
        wrapped.param_specs = [attrs.evolve(s, lr_mult=0.0) for s in wrapped.param_specs]
