"""Caffe, what it can do, and the classes of Python layers."""

from __future__ import annotations

from typing import Iterator

from amct_caffe.checks.check import Violation
from amct_caffe.checks.training_setup import TrainingSetup


def missing_caffe(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield that there is no Caffe to train with."""
    if setup.machine.no_caffe is not None:
        yield Violation("Caffe", setup.machine.no_caffe.problem, setup.machine.no_caffe.remedy)


def missing_capabilities(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield what this Caffe cannot do: layer types, databases, BatchNorm, and others."""
    if setup.machine.no_caffe is None:
        for problem, remedy in setup.machine.lacks(setup.document, setup.solver):
            yield Violation("this Caffe", problem, remedy)


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
