"""Reads the prototxt of a deployable model as ATC does, without any code of ours.

Google's parser, with a schema of just the fields that ATC's plugins read of Input, Quant, DeQuant
and SSDDetectionOutput (canndev, caffe_ascend_quant_plugin.cc and its neighbours), unknown fields
ignored.
Names and types: ``caffe.proto`` of Ascend/parser and hicann/ge.
"""

from __future__ import annotations

import functools
from typing import Any, List, Tuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format


def read_prototxt(path: str) -> List[Any]:
    """Return the layers of a text file; see :func:`parse_prototxt`."""
    with open(path, encoding="utf-8") as stream:
        return parse_prototxt(stream.read())


def parse_prototxt(text: str) -> List[Any]:
    """Return the layers.

    Each is a message with ``name``, ``type``, ``bottom``, ``top``, ``param`` (names), ``bias_term``
    in ``convolution_param`` and ``inner_product_param``, ``input_param``, ``quant_param`` and
    ``ssddetectionoutput_param``.
    """
    net = _net_class()()
    text_format.Parse(text, net, allow_unknown_field=True)
    return list(net.layer)


@functools.cache
def _net_class() -> Any:
    """Return the message class of a network, as far as ATC reads the text of one."""
    file = descriptor_pb2.FileDescriptorProto(name="atc.proto", package="atc", syntax="proto2")
    _message(file, "Quant", ("scale", 2, "FLOAT"), ("offset", 3, "BYTES"))
    _message(file, "Shape", ("dim[]", 1, "INT64"))
    _message(file, "Input", ("shape[]", 1, "Shape"))
    _message(file, "Param", ("name", 1, "STRING"))
    _message(file, "Bias", ("bias_term", 2, "BOOL"))
    _message(
        file,
        "SsdDetectionOutput",
        ("num_classes", 1, "INT32"),
        ("share_location", 2, "BOOL"),
        ("background_label_id", 3, "INT32"),
        ("iou_threshold", 4, "FLOAT"),
        ("top_k", 5, "INT32"),
        ("eta", 6, "FLOAT"),
        ("variance_encoded_in_target", 7, "BOOL"),
        ("code_type", 8, "INT32"),
        ("keep_top_k", 9, "INT32"),
        ("confidence_threshold", 10, "FLOAT"),
    )
    _message(
        file,
        "Layer",
        ("name", 1, "STRING"),
        ("type", 2, "STRING"),
        ("bottom[]", 3, "STRING"),
        ("top[]", 4, "STRING"),
        ("param[]", 6, "Param"),
        ("convolution_param", 106, "Bias"),
        ("inner_product_param", 117, "Bias"),
        ("input_param", 143, "Input"),
        ("quant_param", 208, "Quant"),
        ("ssddetectionoutput_param", 232, "SsdDetectionOutput"),
    )
    _message(file, "Net", ("layer[]", 100, "Layer"))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    descriptor = pool.FindMessageTypeByName("atc.Net")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)  # protobuf below 4.22


def _message(file: Any, name: str, *fields: Tuple[str, int, str]) -> None:
    """Add a message; ``[]`` marks a repeated field, a type not in capitals is a message."""
    message = file.message_type.add(name=name)
    for label, number, kind in fields:
        field = message.field.add(name=label.replace("[]", ""), number=number)
        field.label = field.LABEL_REPEATED if label.endswith("[]") else field.LABEL_OPTIONAL
        if kind.isupper():
            field.type = getattr(field, f"TYPE_{kind}")
        else:
            field.type, field.type_name = field.TYPE_MESSAGE, f".atc.{kind}"
