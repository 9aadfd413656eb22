"""The weights that training starts from."""

from __future__ import annotations

import os
from typing import Iterator

from amct_caffe.checks.check import Violation
from amct_caffe.checks.training_setup import TrainingSetup
from amct_caffe.model.network import read_network
from amct_caffe.passes.python_layers import is_python_layer
from amct_core.errors import AmctError


def wrong_weights(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield that there are none, that Caffe would refuse them, or that they lack the QAT layers."""
    file = setup.weights_file
    if file is None:
        return
    if not os.path.isfile(file):
        yield Violation(None, "there is no such file.", "Check the path.", file=file)
        return
    try:
        network = read_network(setup.model_file, file, setup.document.states)
    except AmctError as error:
        yield Violation.of(error)
        return
    for layer in network.document.layers:
        inserted = is_python_layer(layer, "WeightQAT") or is_python_layer(layer, "ActivationQAT")
        if inserted and not network.weights.get(layer.name):
            yield Violation(
                None,
                f"it has no weights for this layer of '{setup.model_file}'; expected those of the "
                "modified model, or a snapshot of it.",
                "Give the weights that were written with the modified model.",
                layer.name,
                file,
            )
            return
