"""Rules on Quant layers."""

from __future__ import annotations

import math
from typing import Dict, Iterator, List, Tuple

from amct_caffe.model.formats.prototxt.layer import Layer
from ascend_backend.lint.facts import target_of
from ascend_backend.lint.fusion import fused
from ascend_backend.lint.merging import merged_with_another_offset, merges
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.quantized import (
    TENSOR_TYPES,
    WEIGHTED_TYPES,
    quant_offset,
    quant_offset_bytes,
    quant_scale,
)
from ascend_backend.lint.rule import ERROR, WARNING, Problem, Rule

_SMALLEST, _LARGEST = 2.0**-14, 65504.0
"""The normal numbers of float16."""
_DANGER = " Processors of ISA V200 (Ascend310P) give both one offset: lint with --soc-version."


def check_scale_is_there(model: DeployModel) -> Iterator[Problem]:
    """Find Quant layers without a scale."""
    for layer in model.of_type("Quant"):
        if quant_scale(layer) is None:
            yield Problem("it has no scale; ATC takes 1.", layer.name, "quant_param.scale")


def check_scale(model: DeployModel) -> Iterator[Problem]:
    """Find scales that are no positive numbers."""
    for layer in model.of_type("Quant"):
        scale = quant_scale(layer)
        if scale is not None and not (math.isfinite(scale) and scale > 0):
            yield Problem(
                f"its scale is {scale}; expected a positive number.",
                layer.name,
                "quant_param.scale",
            )


def check_scale_range(model: DeployModel) -> Iterator[Problem]:
    """Find scales that are no normal numbers in float16."""
    target = target_of(model)
    found = None if target is None else fused(model, target.family)
    merged = frozenset() if found is None else found.merged_quants
    for layer in model.of_type("Quant"):
        scale = quant_scale(layer)
        if scale is None or not (math.isfinite(scale) and scale > 0) or layer.name in merged:
            continue
        if scale < _SMALLEST:
            yield Problem(
                f"its scale is {scale:g}, below 2^-14; ATC multiplies twice with the square root.",
                layer.name,
                "quant_param.scale",
            )
        if scale > _LARGEST:
            yield Problem(
                f"its scale is {scale:g}, above 65504, the largest float16; ATC takes 65504, or "
                "multiplies twice with the square root, depending on its version (unknown).",
                layer.name,
                "quant_param.scale",
            )


def check_offset(model: DeployModel) -> Iterator[Problem]:
    """Find offsets that are not one byte."""
    for layer in model.of_type("Quant"):
        offset = quant_offset_bytes(layer)
        if offset is not None and len(offset) != 1:
            yield Problem(
                f"its offset has {len(offset)} bytes; expected one.",
                layer.name,
                "quant_param.offset",
            )


def check_offset_is_there(model: DeployModel) -> Iterator[Problem]:
    """Find Quant layers without an offset."""
    for layer in model.of_type("Quant"):
        if quant_offset_bytes(layer) is None:
            yield Problem("it has no offset; ATC takes 0.", layer.name, "quant_param.offset")


def check_is_read(model: DeployModel) -> Iterator[Problem]:
    """Find Quant layers that a float layer reads, or nothing."""
    for layer in model.of_type("Quant"):
        readers = model.wiring.consumers(layer)
        if not readers:
            yield Problem("no layer reads it; expected a quantized one.", layer.name, "top")
        for reader in readers:
            if reader.type not in (*WEIGHTED_TYPES, *TENSOR_TYPES):
                yield Problem(
                    f"'{reader.name}' ({reader.type}) reads it; expected a layer that takes int8.",
                    layer.name,
                    "top",
                )


def check_siblings(model: DeployModel) -> Iterator[Problem]:
    """Find Quant layers that quantize one blob in different ways."""
    siblings: Dict[str, List[Layer]] = {}
    for layer in model.of_type("Quant"):
        for blob in model.wiring.bottoms[id(layer)]:
            siblings.setdefault(blob, []).append(layer)
    merged = {quant.name for group in merged_with_another_offset(model) for quant in group}
    for first, *others in siblings.values():
        for other in others:
            # Where they are merged that is an error of its own, A079.
            if _factors(other) == _factors(first) or (other.name in merged and merges(model)):
                continue
            danger = "" if other.name not in merged or model.target is not None else _DANGER
            yield Problem(
                f"it reads the same blob as '{first.name}', with scale and offset "
                f"{_shown(other)}; there they are {_shown(first)}.{danger}",
                other.name,
                "quant_param",
            )


def _factors(layer: Layer) -> Tuple[float, int]:
    scale = quant_scale(layer)
    return (1.0 if scale is None else scale), quant_offset(layer)


def _shown(layer: Layer) -> str:
    scale, offset = _factors(layer)
    return f"{scale:.9g} and {offset}"


RULES = (
    Rule(
        "A050",
        ERROR,
        "A Quant has no scale",
        "Write quant_param { scale: ... }: 1 / scale_d of the layer's input.",
        check_scale_is_there,
    ),
    Rule(
        "A051",
        ERROR,
        "The scale of a Quant is not a positive number",
        "Calibrate the layer's input again, or leave the layer unquantized.",
        check_scale,
    ),
    Rule(
        "A052",
        WARNING,
        "The scale of a Quant is no normal float16 number",
        "Normalize the blob, or leave the layer unquantized.",
        check_scale_range,
    ),
    Rule(
        "A053",
        ERROR,
        "The offset of a Quant is not one byte",
        'Write one signed byte, such as "\\200" for -128.',
        check_offset,
    ),
    Rule(
        "A054",
        WARNING,
        "A Quant has no offset",
        'Write the offset, 0 too: "\\000".',
        check_offset_is_there,
    ),
    Rule(
        "A055",
        ERROR,
        "A Quant is not followed by a layer that takes int8",
        "Take the Quant out, or let the quantized layer read it.",
        check_is_read,
    ),
    Rule(
        "A056",
        WARNING,
        "Quants on one blob differ in scale or offset",
        "Give the layers that read one blob the same scale_d and offset_d.",
        check_siblings,
    ),
)
