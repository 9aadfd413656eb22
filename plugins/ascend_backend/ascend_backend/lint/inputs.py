"""Rules on the network's inputs."""

from __future__ import annotations

from typing import Iterator, List

from amct_caffe.model.formats.prototxt.layer import Layer
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import ERROR, WARNING, Problem, Rule

_PARAMETERS = {"Input": "input_param", "DummyData": "dummy_data_param"}
INPUT_TYPES = frozenset(_PARAMETERS)
"""Types of the layers that ATC makes inputs of."""


def input_shapes(layer: Layer) -> List[List[int]]:
    """Return the shapes that an Input or DummyData layer gives."""
    shapes = layer.parameters(_PARAMETERS[layer.type]).messages("shape")
    return [shape.integers("dim") for shape in shapes]


def _inputs(model: DeployModel) -> List[Layer]:
    return model.of_type(*_PARAMETERS)


def check_empty_parameters(model: DeployModel) -> Iterator[Problem]:
    """Find inputs whose parameters give no shape."""
    for layer in _inputs(model):
        field = _PARAMETERS[layer.type]
        if layer.message.message(field) is not None and not input_shapes(layer):
            yield Problem(f"its {field} has no shape; expected one.", layer.name, field)


def check_shape_is_given(model: DeployModel) -> Iterator[Problem]:
    """Find inputs without parameters."""
    for layer in _inputs(model):
        field = _PARAMETERS[layer.type]
        if layer.message.message(field) is None:
            yield Problem("the model does not tell its shape.", layer.name, field)


def check_dims(model: DeployModel) -> Iterator[Problem]:
    """Find inputs with sizes that are not positive."""
    for layer in _inputs(model):
        for shape in input_shapes(layer):
            if not shape or any(dim <= 0 for dim in shape):
                yield Problem(
                    f"its shape is {shape}; expected positive sizes.",
                    layer.name,
                    _PARAMETERS[layer.type],
                )


def check_one_top(model: DeployModel) -> Iterator[Problem]:
    """Find inputs with several tops or shapes."""
    for layer in _inputs(model):
        tops, shapes = len(layer.tops), len(input_shapes(layer))
        if tops > 1 or shapes > 1:
            yield Problem(
                f"it has {tops} tops and {shapes} shapes; expected one of each.", layer.name, "top"
            )


def check_net_inputs(model: DeployModel) -> Iterator[Problem]:
    """Find net-level inputs whose number does not fit that of their shapes."""
    inputs = len(model.net.strings("input"))
    dims = len(model.net.integers("input_dim"))
    shapes = len(model.net.messages("input_shape"))
    if not inputs:
        return
    if dims and shapes:
        yield Problem("found both input_dim and input_shape; expected one.", field="input_dim")
    elif dims and dims != 4 * inputs:
        yield Problem(
            f"found {dims} input_dim for {inputs} inputs; expected {4 * inputs}.",
            field="input_dim",
        )
    elif shapes and shapes != inputs:
        yield Problem(
            f"found {shapes} input_shape for {inputs} inputs; expected {inputs}.",
            field="input_shape",
        )


def check_constants(model: DeployModel) -> Iterator[Problem]:
    """Find constants, which ATC takes for inputs."""
    for layer in model.of_type("DummyData"):
        fillers = layer.parameters("dummy_data_param").messages("data_filler")
        values = [f"{filler.number('value', 0.0) or 0.0:g}" for filler in fillers] or ["0"]
        yield Problem(
            f"ATC makes an input of it, which has to be fed with {', '.join(values)} everywhere.",
            layer.name,
            "type",
        )


RULES = (
    Rule(
        "A020",
        ERROR,
        "The parameters of an input give no shape",
        "Write the shape: input_param { shape { dim: ... } }.",
        check_empty_parameters,
    ),
    Rule(
        "A021",
        WARNING,
        "The model does not give the shape of an input",
        "Write input_param { shape { dim: ... } }, or give ATC --input_shape.",
        check_shape_is_given,
    ),
    Rule(
        "A022",
        ERROR,
        "An input has a size that is not positive",
        "Write the size that the model will run with.",
        check_dims,
    ),
    Rule(
        "A023",
        ERROR,
        "An input layer has several tops or shapes",
        "Write one Input layer for each input.",
        check_one_top,
    ),
    Rule(
        "A024",
        ERROR,
        "The shapes of the net's inputs do not fit their number",
        "Write Input layers in place of input, input_dim and input_shape.",
        check_net_inputs,
    ),
    Rule(
        "A025",
        WARNING,
        "A constant becomes an input",
        "Feed it at inference, or express the constant by a Scale, Bias or Power layer.",
        check_constants,
    ),
)
