"""Names that Python cannot say.

Caffe itself takes names of any bytes, but its Python interface, in which the QAT layers run, stops
with a UnicodeDecodeError at one that is not UTF-8.
"""

from __future__ import annotations

from typing import Iterator

from amct_caffe.checks.check import Violation
from amct_caffe.model.network import CaffeNetwork
from amct_core.extensions.frontend import NetworkViews
from amct_core.textproto.scalars import as_bytes


def unreadable_names(views: NetworkViews) -> Iterator[Violation]:
    """Yield each name of a layer or a blob that is not UTF-8."""
    network: CaffeNetwork = views.source
    for layer in network.document.layers:
        for field, names in (("name", [layer.name]), ("top", layer.tops)):
            for name in names:
                if not _is_unicode(name):
                    yield Violation(
                        field,
                        f"found {as_bytes(name)!r}; expected UTF-8, since Caffe's Python interface "
                        "cannot read other names.",
                        "Rename it in the prototxt and the weights file, or save both as UTF-8.",
                        layer.name,
                        network.model_file,
                    )


def _is_unicode(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
