"""Builds the Python layers that passes insert, and the names that tie their blobs together."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence

import attrs

from amct_caffe.model.formats.prototxt.document import Layer, ParamSpec
from amct_caffe.qat.parameters import to_param_str
from amct_core.textproto import Message

MODULE = "amct_caffe.layers"
"""The module that Caffe imports for these layers."""


def python_layer(
    name: str,
    kind: str,
    bottoms: Sequence[str],
    tops: Sequence[str],
    parameters: Any,
    param_specs: Sequence[ParamSpec] = (),
) -> Layer:
    """Return a ``type: "Python"`` layer.

    Args:
        name: of the layer.
        kind: class name in :data:`MODULE`.
        bottoms, tops: blob names.
        parameters: an attrs instance of :mod:`amct_caffe.qat.parameters`.
        param_specs: one per blob, as far as they differ from Caffe's defaults.
    """
    layer = Layer.create(name, "Python", bottoms, tops)
    layer.param_specs = param_specs
    python_param = Message()
    python_param.set("module", MODULE)
    python_param.set("layer", kind)
    python_param.set("param_str", to_param_str(parameters))
    layer.message.set("python_param", python_param)
    return layer


def is_python_layer(layer: Layer, kind: str) -> bool:
    """Return whether ``layer`` is one of ours, of class ``kind``."""
    if layer.type != "Python":
        return False
    python_param = layer.parameters("python_param")
    return python_param.string("module", "") == MODULE and python_param.string("layer", "") == kind


def param_str(layer: Layer) -> str:
    """Return the ``param_str`` of a Python layer."""
    return layer.parameters("python_param").string("param_str") or ""


def shared_name(layer: str, blob: str) -> str:
    """Return the parameter name that ties together all blobs ``blob`` of ``layer``."""
    return f"amct/{layer}/{blob}"


def fixed(name: Optional[str] = None) -> ParamSpec:
    """Return the spec of a blob that the solver must neither move nor decay."""
    return ParamSpec(name=name, lr_mult=0.0, decay_mult=0.0)


def shares(name: str) -> ParamSpec:
    """Return the spec of a blob that belongs to another layer; its owner sets the multipliers."""
    return ParamSpec(name=name)


def share_blobs(layer: Layer, count: int) -> List[ParamSpec]:
    """Give the first ``count`` blobs of ``layer`` parameter names; return specs that share them.

    A name that the user gave stays.
    """
    specs = list(layer.param_specs)
    # The statistics of a BatchNorm without specs are not trained; Caffe sees to that by itself
    # only where no spec is given.
    unset = ParamSpec(lr_mult=0.0) if layer.type == "BatchNorm" else ParamSpec()
    specs += [unset] * (count - len(specs))
    named = [
        spec if spec.name else attrs.evolve(spec, name=shared_name(layer.name, f"blob{index}"))
        for index, spec in enumerate(specs[:count])
    ]
    layer.param_specs = [*named, *specs[count:]]
    return [shares(str(spec.name)) for spec in named]
