"""Rules on what the layers are and how they hang together."""

from __future__ import annotations

from typing import Iterator

from ascend_backend.lint.layer_types import AMBIGUOUS_TYPE, CONVERTED_TYPES, TRAINING_TYPES
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import ERROR, WARNING, Problem, Rule

_BY_FOLDED_NAME = {each.casefold(): each for each in sorted(CONVERTED_TYPES)}


def check_bottoms(model: DeployModel) -> Iterator[Problem]:
    """Find bottoms that no layer makes."""
    for blob, readers in model.wiring.readers.items():
        if blob not in model.wiring.makers:
            reader = readers[0]
            yield Problem(
                f"its bottom '{blob}' is the top of no layer that ATC keeps.",
                reader.layer.name,
                "bottom",
            )


def check_tops(model: DeployModel) -> Iterator[Problem]:
    """Find blobs that several layers make."""
    for blob, makers in model.wiring.makers.items():
        if len(makers) > 1:
            others = ", ".join(f"'{port.layer.name}'" for port in makers[:-1])
            yield Problem(
                f"its top '{blob}' is already made by {others}.", makers[-1].layer.name, "top"
            )


def check_has_tops(model: DeployModel) -> Iterator[Problem]:
    """Find layers without a top, Silence among them."""
    for layer in model.layers:
        if not layer.tops and layer.type not in TRAINING_TYPES:
            yield Problem("it has no top; expected one at least.", layer.name, "top")


def check_training_types(model: DeployModel) -> Iterator[Problem]:
    """Find layers for training and testing."""
    for layer in model.of_type(*TRAINING_TYPES):
        yield Problem(
            f"its type '{layer.type}' is one for training or testing; expected layers for "
            "inference only.",
            layer.name,
            "type",
        )


def check_unlisted_types(model: DeployModel) -> Iterator[Problem]:
    """Find types for which there is no plugin."""
    known = CONVERTED_TYPES | TRAINING_TYPES | {AMBIGUOUS_TYPE, ""}
    for layer in model.layers:
        # A layer without a top has to go, whatever its type is: A012.
        if layer.type not in known and layer.tops:
            meant = _BY_FOLDED_NAME.get(layer.type.casefold())
            hint = f"; it is spelt '{meant}'" if meant else ""
            yield Problem(
                f"no plugin of ATC is known for its type '{layer.type}'{hint}.", layer.name, "type"
            )


def check_detection_output(model: DeployModel) -> Iterator[Problem]:
    """Find DetectionOutput, which ATC finds ambiguous."""
    for layer in model.of_type(AMBIGUOUS_TYPE):
        yield Problem(
            "its type is 'DetectionOutput'; expected 'SSDDetectionOutput' or 'FSRDetectionOutput', "
            "with the tops and parameters of that type.",
            layer.name,
            "type",
        )


def check_phases(model: DeployModel) -> Iterator[Problem]:
    """Find include and exclude rules that ATC reads differently from Caffe."""
    taken_out = {id(layer) for layer in model.taken_out}
    for layer in model.declared:
        if id(layer) in taken_out:
            continue
        if layer.message.messages("exclude"):
            yield Problem("ATC ignores its 'exclude' and keeps the layer.", layer.name, "exclude")
        for include in layer.message.messages("include"):
            if include.enum("phase") is None:
                yield Problem(
                    "its 'include' names no phase; ATC takes that for TRAIN and drops the layer.",
                    layer.name,
                    "include",
                )


RULES = (
    Rule(
        "A010",
        ERROR,
        "A layer reads a blob that no layer makes",
        "Correct the bottom, or put the layer in that makes it.",
        check_bottoms,
    ),
    Rule(
        "A011",
        ERROR,
        "Several layers make one blob",
        "Give each layer that is not in place a top of its own.",
        check_tops,
    ),
    Rule(
        "A012",
        ERROR,
        "A layer has no top",
        "Take the layer out; ATC has no use for one without an output.",
        check_has_tops,
    ),
    Rule(
        "A013",
        ERROR,
        "A layer is one for training or testing",
        "Put an Input in the place of data layers, Softmax in that of SoftmaxWithLoss, and take "
        "other losses and scores out.",
        check_training_types,
    ),
    Rule(
        "A014",
        ERROR,
        "ATC has no plugin for a layer type",
        "Replace the layer, or compute it outside the model. If you have a custom operator for it, "
        "install it, and lint with --custom-op TYPE.",
        check_unlisted_types,
    ),
    Rule(
        "A015",
        ERROR,
        "DetectionOutput is ambiguous",
        "Save with the deploy backend 'ascend', which rewrites SSD's layer, or rewrite it by hand: "
        "another type, or --op-name-map, is not enough without the tops and parameters of it.",
        check_detection_output,
    ),
    Rule(
        "A016",
        WARNING,
        "ATC reads an include or exclude rule differently from Caffe",
        "Write the layers of the TEST phase only, without rules.",
        check_phases,
    ),
)
