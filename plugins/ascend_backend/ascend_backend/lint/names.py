"""Rules on the form of the prototxt and on the names of layers."""

from __future__ import annotations

import re
from collections import Counter
from typing import Iterator

from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import ERROR, Problem, Rule

_NAME = re.compile(r"[A-Za-z0-9./_-]+")
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9./_-]")


def check_v1(model: DeployModel) -> Iterator[Problem]:
    """Find ``layers``, the format before ``layer``."""
    count = len(model.net.messages("layers"))
    if count:
        yield Problem(f"found {count} 'layers'; expected 'layer'.", field="layers")


def check_has_layers(model: DeployModel) -> Iterator[Problem]:
    """Find a network without a layer."""
    if not model.declared and not model.net.messages("layers"):
        yield Problem("found no layer; expected a network.", field="layer")


def check_characters(model: DeployModel) -> Iterator[Problem]:
    """Find names with characters that ATC does not take."""
    for layer in model.layers:
        if layer.name and not _NAME.fullmatch(layer.name):
            found = " ".join(repr(c) for c in sorted(set(_NOT_ALLOWED.findall(layer.name))))
            yield Problem(
                f"its name has {found}; expected letters, digits, '.', '/', '_' and '-'.",
                layer.name,
                "name",
            )


def check_name_and_type(model: DeployModel) -> Iterator[Problem]:
    """Find layers without a name or a type."""
    for layer in model.layers:
        missing = [field for field in ("name", "type") if not layer.message.string(field)]
        for field in missing:
            line = layer.message.line
            yield Problem(f"the layer at line {line} has no {field}.", layer.name or None, field)


def check_unique(model: DeployModel) -> Iterator[Problem]:
    """Find names that several layers have."""
    for name, count in Counter(layer.name for layer in model.layers).items():
        if name and count > 1:
            yield Problem(f"{count} layers have this name; expected one.", name, "name")


RULES = (
    Rule(
        "A001",
        ERROR,
        "The prototxt is written with 'layers'",
        "Convert it with Caffe's upgrade_net_proto_text.",
        check_v1,
    ),
    Rule(
        "A002",
        ERROR,
        "The prototxt has no layer",
        "Give the prototxt of a network, not that of a solver.",
        check_has_layers,
    ),
    Rule(
        "A003",
        ERROR,
        "A layer name has characters that ATC refuses",
        "Rename the layer, in the weights file too.",
        check_characters,
    ),
    Rule(
        "A004",
        ERROR,
        "A layer has no name or no type",
        "Give the layer a name and a type.",
        check_name_and_type,
    ),
    Rule(
        "A005",
        ERROR,
        "Several layers have one name",
        "Give each layer a name of its own, in the weights file too.",
        check_unique,
    ),
)
