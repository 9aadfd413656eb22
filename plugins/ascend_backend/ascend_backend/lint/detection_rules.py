"""Rules on detection outputs, whose bottoms, tops and parameters are Ascend's own."""

from __future__ import annotations

from typing import Dict, Iterator, List, Tuple

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_core.errors import FileFormatError
from amct_core.textproto import Message
from ascend_backend.lint.detection_operators import (
    DETECTION_OPERATORS,
    TOPS,
    DetectionField,
    DetectionOperator,
    Number,
)
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import ERROR, WARNING, Problem, Rule

_NUMBERS_PER_BOX = 2
_BOTTOMS_PER_SCALE = 3


def _detections(model: DeployModel) -> Iterator[Tuple[Layer, DetectionOperator]]:
    for layer in model.of_type(*DETECTION_OPERATORS):
        yield layer, DETECTION_OPERATORS[layer.type]


def _with_parameters(
    model: DeployModel,
) -> Iterator[Tuple[Layer, DetectionOperator, Message]]:
    """Yield the detection outputs that have the message which ATC reads."""
    for layer, operator in _detections(model):
        parameters = layer.message.message(operator.parameters)
        if parameters is not None:
            yield layer, operator, parameters


def _values(parameters: Message, name: str, field: DetectionField) -> List[Number]:
    """Return the values of a field.

    Raises:
        FileFormatError: one is of another kind.
    """
    if field.kind == "bool":
        return list(parameters.booleans(name))
    if field.kind == "float":
        return list(parameters.numbers(name))
    return list(parameters.integers(name))


def _readable(parameters: Message, fields: Dict[str, DetectionField]) -> Dict[str, List[Number]]:
    """Return the values of the fields that are there and of the right kind."""
    found: Dict[str, List[Number]] = {}
    for name, field in fields.items():
        try:
            values = _values(parameters, name, field)
        except FileFormatError:
            continue  # A rule of its own.
        if values:
            found[name] = values
    return found


def _text(value: Number) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def check_tops(model: DeployModel) -> Iterator[Problem]:
    """Find detection outputs with another number of tops than two."""
    for layer, operator in _detections(model):
        if len(layer.tops) != TOPS:
            yield Problem(
                f"it has {len(layer.tops)} tops; expected {TOPS}: {operator.tops}.",
                layer.name,
                "top",
            )


def check_bottoms(model: DeployModel) -> Iterator[Problem]:
    """Find detection outputs with another number of bottoms than their operator has inputs."""
    for layer, operator in _detections(model):
        if not operator.accepts_bottoms(len(layer.bottoms)):
            yield Problem(
                f"it has {len(layer.bottoms)} bottoms; expected {operator.bottoms}.",
                layer.name,
                "bottom",
            )


def check_parameters_are_there(model: DeployModel) -> Iterator[Problem]:
    """Find detection outputs without the message that ATC reads."""
    for layer, operator in _detections(model):
        if layer.message.message(operator.parameters) is None:
            others = sorted({e.name for e in layer.message if e.name.endswith("_param")})
            found = f"found {', '.join(others)}, which ATC does not read here" if others else "none"
            yield Problem(
                f"it has no {operator.parameters} ({found}); ATC takes the operator's defaults.",
                layer.name,
                operator.parameters,
            )


def check_required_fields(model: DeployModel) -> Iterator[Problem]:
    """Find fields that must be there and are not."""
    for layer, operator, parameters in _with_parameters(model):
        for name, field in operator.fields.items():
            if field.required and not parameters.has(name):
                yield _missing(layer, operator, name)
        has_biases = any(name.startswith("biases") for name in operator.fields)
        if has_biases and not any(entry.name.startswith("biases") for entry in parameters):
            yield _missing(layer, operator, "biases")


def _missing(layer: Layer, operator: DetectionOperator, name: str) -> Problem:
    return Problem(
        f"its {operator.parameters} has no '{name}'.", layer.name, f"{operator.parameters}.{name}"
    )


def check_kinds(model: DeployModel) -> Iterator[Problem]:
    """Find fields whose value ATC's parser cannot read."""
    for layer, operator, parameters in _with_parameters(model):
        for name, field in operator.fields.items():
            try:
                _values(parameters, name, field)
            except FileFormatError as error:
                yield Problem(error.problem, layer.name, f"{operator.parameters}.{name}")


def check_unknown_fields(model: DeployModel) -> Iterator[Problem]:
    """Find fields that ATC ignores."""
    for layer, operator, parameters in _with_parameters(model):
        for name in dict.fromkeys(entry.name for entry in parameters):
            if name not in operator.fields:
                yield Problem(
                    f"ATC ignores its '{name}'; expected {', '.join(operator.fields)}.",
                    layer.name,
                    f"{operator.parameters}.{name}",
                )


def check_values(model: DeployModel) -> Iterator[Problem]:
    """Find values that the operator does not take."""
    for layer, operator, parameters in _with_parameters(model):
        found = _readable(parameters, operator.fields)
        for name, values in found.items():
            limit = operator.fields[name].limit
            if limit is not None and not limit.accepts(values[-1]):
                yield Problem(
                    f"it is {_text(values[-1])}; expected {limit.words}.",
                    layer.name,
                    f"{operator.parameters}.{name}",
                )
        yield from _background(layer, operator, found)


def _background(
    layer: Layer, operator: DetectionOperator, found: Dict[str, List[Number]]
) -> Iterator[Problem]:
    label, classes = found.get("background_label_id"), found.get("num_classes")
    if label is not None and classes is not None and label[-1] >= classes[-1]:
        yield Problem(
            f"it is {_text(label[-1])}; expected less than num_classes, {_text(classes[-1])}.",
            layer.name,
            f"{operator.parameters}.background_label_id",
        )


def check_defaults(model: DeployModel) -> Iterator[Problem]:
    """Find fields left out of whose default ATC's sources tell different things."""
    for layer, operator, parameters in _with_parameters(model):
        for name, field in operator.fields.items():
            if field.defaults is not None and not parameters.has(name):
                taken, told = field.defaults
                yield Problem(
                    f"it is left out; the operator then takes {taken}, where ATC's documentation "
                    f"or caffe.proto gives {told}.",
                    layer.name,
                    f"{operator.parameters}.{name}",
                )


def check_documented_values(model: DeployModel) -> Iterator[Problem]:
    """Find values that the operator takes and its documentation does not allow."""
    for layer, operator, parameters in _with_parameters(model):
        for name, values in _readable(parameters, operator.fields).items():
            field = operator.fields[name]
            if field.documented is None or field.documented.accepts(values[-1]):
                continue
            if field.limit is None or field.limit.accepts(values[-1]):
                yield Problem(
                    f"it is {_text(values[-1])}; the documentation allows "
                    f"{field.documented.words}.",
                    layer.name,
                    f"{operator.parameters}.{name}",
                )


def check_biases(model: DeployModel) -> Iterator[Problem]:
    """Find YOLO outputs with another number of biases than two for each box."""
    for layer, operator, parameters in _with_parameters(model):
        found = _readable(parameters, operator.fields)
        biases = sum(len(values) for name, values in found.items() if name.startswith("biases"))
        if not biases or not operator.accepts_bottoms(len(layer.bottoms)):
            continue
        boxes = found.get("boxes", [operator.boxes])[-1]
        scales = (len(layer.bottoms) - 1) // _BOTTOMS_PER_SCALE
        expected = int(boxes) * scales * _NUMBERS_PER_BOX
        if biases != expected:
            yield Problem(
                f"it has {biases} biases; expected {expected}: width and height of "
                f"{_text(boxes)} boxes for each of {scales} Yolo layers.",
                layer.name,
                f"{operator.parameters}.biases",
            )


RULES = (
    Rule(
        "A100",
        ERROR,
        "A detection output does not have two tops",
        "Give it both tops, in the operator's order.",
        check_tops,
    ),
    Rule(
        "A101",
        ERROR,
        "A detection output has another number of bottoms than its operator",
        "Give it the operator's bottoms, in its order.",
        check_bottoms,
    ),
    Rule(
        "A102",
        ERROR,
        "A detection output has none of the parameters that ATC reads",
        "Write the message that belongs to the type; renaming the type is not enough.",
        check_parameters_are_there,
    ),
    Rule(
        "A103",
        ERROR,
        "A field that a detection output needs is missing",
        "Write the field.",
        check_required_fields,
    ),
    Rule(
        "A104",
        ERROR,
        "A field of a detection output has a value of another kind",
        "Write a value of the field's kind; code_type is a number here.",
        check_kinds,
    ),
    Rule(
        "A105",
        ERROR,
        "ATC ignores a field of a detection output",
        "Write what it says in the operator's own fields, side by side, and take it out.",
        check_unknown_fields,
    ),
    Rule(
        "A106",
        ERROR,
        "The operator of a detection output does not take a value",
        "Write a value that it takes, or compute the detections outside of the model.",
        check_values,
    ),
    Rule(
        "A107",
        WARNING,
        "Sources differ on what ATC takes for a missing field",
        "Write the field.",
        check_defaults,
    ),
    Rule(
        "A108",
        WARNING,
        "A value of a detection output is beyond what is documented",
        "Write a value that the documentation allows, or try the conversion.",
        check_documented_values,
    ),
    Rule(
        "A109",
        ERROR,
        "The biases of a detection output do not fit its boxes",
        "Write two numbers for each box of each Yolo layer.",
        check_biases,
    ),
)
