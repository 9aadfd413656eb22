"""What modules of others lack that scripts written for AMCT rely on.

Where AMCT is installed, a script finds ``google.protobuf.text_format`` without importing it, and
Ascend's fields in Caffe's ``caffe_pb2``.  Here the user's own modules get both, as soon as they are
imported; nothing is imported for that.
"""

from __future__ import annotations

from types import ModuleType

from amct_caffe.user_modules.import_hooks import when_imported

__all__ = ["complete_user_modules"]


def complete_user_modules() -> None:
    """Complete protobuf and Caffe's messages now, or when somebody imports them."""
    when_imported("google.protobuf", _import_text_format)
    when_imported("caffe.proto.caffe_pb2", _add_ascends_fields)


def _import_text_format(protobuf: ModuleType) -> None:
    import importlib

    importlib.import_module(f"{protobuf.__name__}.text_format")


def _add_ascends_fields(caffe_pb2: ModuleType) -> None:
    from amct_caffe.user_modules.caffe_messages import add_ascends_fields

    add_ascends_fields(caffe_pb2)
