"""Checks that Python can say the names of a network's layers and blobs."""

from __future__ import annotations

from amct_caffe.model.formats.prototxt.document import NetDocument
from amct_core.errors import ModelError
from amct_core.textproto.scalars import as_bytes


def check_names(document: NetDocument) -> None:
    """Raise if a layer or a blob has a name that is not UTF-8.

    Caffe itself takes any bytes, but its Python interface, in which the QAT layers run, stops with
    a UnicodeDecodeError.

    Raises:
        ModelError: naming the layer and the name's bytes.
    """
    for layer in document.layers:
        for field, names in (("name", [layer.name]), ("top", layer.tops)):
            for name in names:
                if not _is_unicode(name):
                    raise ModelError(
                        f"found {as_bytes(name)!r}; expected UTF-8, since Caffe's Python interface "
                        "cannot read other names.",
                        file=document.file,
                        layer=layer.name,
                        field=field,
                        remedy="Rename it in the prototxt and the weights file, or save both as "
                        "UTF-8.",
                    )


def _is_unicode(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
