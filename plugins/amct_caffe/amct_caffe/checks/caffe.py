"""Caffe, its layer types, and the classes of Python layers."""

from __future__ import annotations

from typing import Dict, Iterator, List

from amct_caffe.checks.check import Violation
from amct_caffe.checks.training_setup import TrainingSetup
from amct_caffe.model.formats.prototxt.document import Layer


def missing_caffe(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield that there is no Caffe to train with."""
    if setup.machine.no_caffe is not None:
        yield Violation("Caffe", setup.machine.no_caffe.problem, setup.machine.no_caffe.remedy)


def missing_layer_types(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield each layer type that this Caffe does not have, with the layers of it."""
    known = setup.machine.layer_types
    if known is None:
        return
    missing: Dict[str, List[Layer]] = {}
    for layer in setup.layers():
        if layer.type not in known:
            missing.setdefault(layer.type, []).append(layer)
    for kind, layers in missing.items():
        others = len(layers) - 1
        also = f" (so are {others} more layers)" if others else ""
        yield Violation(
            "type",
            f"it is of type '{kind}'{also}, which this Caffe does not have.",
            "Train with the Caffe that the network was made for, or build this one with the type.",
            layers[0].name,
            setup.document.file,
        )


def missing_classes(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield each Python layer that Caffe could not make, because its class is not to be had."""
    if setup.machine.no_caffe is not None:
        return  # these classes import Caffe
    for layer in setup.layers():
        if layer.type != "Python":
            continue
        parameters = layer.parameters("python_param")
        module, name = parameters.string("module") or "", parameters.string("layer") or ""
        problem = setup.machine.problem_of_class(module, name)
        if problem is not None:
            yield Violation(
                "python_param",
                f"class '{name}' of module '{module}' cannot be imported: {problem}.",
                "Put the folder of the module on PYTHONPATH.",
                layer.name,
                setup.document.file,
            )
