"""Which layer types have no backward pass.

Their ``Backward`` is ``NOT_IMPLEMENTED``, which ends the process as soon as a gradient is to come
through such a layer.
"""

from __future__ import annotations

from typing import List

from amct_caffe.runtime.capabilities.probe import Finding, Probe
from amct_core.plugins import registries

_NOT_IMPLEMENTED = ("Not Implemented", "not implemented")


def _without_backward() -> Finding:
    from amct_caffe.runtime.capabilities.apart import run_apart
    from amct_caffe.runtime.pycaffe import caffe

    found: List[str] = []
    kinds = getattr(caffe, "layer_type_list", _declared)()
    for kind in sorted(kinds):
        sentence = run_apart(lambda kind=kind: _backward(kind)).sentence  # type: ignore[misc]
        if any(words in sentence for words in _NOT_IMPLEMENTED):
            found.append(str(kind))
    return Finding(bool(found), found)


def _declared() -> List[str]:
    """Return the types of which this is declared, for a Caffe that does not tell what it has."""
    return [each.name for each in registries().layer_types if not each.has_backward]


def _backward(kind: str) -> None:
    """Take a gradient back through a layer of one bottom without parameters.

    A type that needs more than that ends the process in another way, which says nothing.
    """
    from amct_caffe.runtime.capabilities.nets import build, input_text, layer_text

    text = "force_backward: true\n" + input_text(2, 3, 4, 4) + layer_text(kind, ["data"], "top")
    net = build(text)
    net.forward()
    net.backward()


WITHOUT_BACKWARD = Probe(
    "layers_without_backward", "Are there layer types without a backward pass?", _without_backward
)
