"""Labels that are no class: Caffe reads and writes out of bounds where one is.

Source: ``Forward_cpu`` of BVLC Caffe's softmax_loss_layer, accuracy_layer and
multinomial_logistic_loss_layer, which check labels in debug builds alone.
"""

from __future__ import annotations

from typing import Iterator, List, Optional, Set, Tuple

import numpy as np

from amct_caffe.checks.check import Violation
from amct_caffe.checks.label_files import labels_of
from amct_caffe.checks.training_setup import TrainingSetup
from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.model.layer_type import attributes_of, layer_type
from amct_core.errors import FileFormatError
from amct_core.graph.attributes import Convolution, InnerProduct

_CLASSIFIERS = {
    "SoftmaxWithLoss": ("softmax_param", "loss_param"),
    "MultinomialLogisticLoss": ("", ""),
    "HingeLoss": ("", ""),
    "Accuracy": ("accuracy_param", "accuracy_param"),
}
"""The types whose second bottom counts classes: what holds their axis, and the ignored label."""


def labels_out_of_range(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield the first label of each data layer that is no class of a layer that reads it."""
    told: Set[Tuple[Optional[str], Optional[str]]] = set()
    for phase in setup.phases:
        layers = setup.document.layers_in(phase)
        for reader in layers:
            violation = _violation(reader, layers, setup)
            if violation is not None and (violation.layer, violation.field) not in told:
                told.add((violation.layer, violation.field))
                yield violation


def _violation(reader: Layer, layers: List[Layer], setup: TrainingSetup) -> Optional[Violation]:
    if reader.type not in _CLASSIFIERS or len(reader.bottoms) < 2:
        return None
    axis_field, ignoring_field = _CLASSIFIERS[reader.type]
    if reader.parameters(axis_field).integer("axis", 1) != 1:
        return None
    classes = _channels(reader.bottoms[0], reader, layers)
    source = next((each for each in layers if reader.bottoms[1] in each.tops), None)
    if classes is None or source is None or source.bottoms:
        return None
    try:
        labels = labels_of(source, source.tops.index(reader.bottoms[1]))
    except FileFormatError as error:
        return Violation.of(error.at(layer=source.name))
    if labels is None:
        return None
    values = np.trunc(labels.values)  # as the cast to int does
    wrong = ~((values >= 0) & (values < classes))
    ignored = reader.parameters(ignoring_field).integer("ignore_label")
    if ignored is not None:
        wrong &= values != ignored
    if not wrong.any():
        return None
    first = int(np.argmax(wrong))
    return Violation(
        labels.field,
        f"label {labels.values[first]:g} ({labels.places(first)}) is no class of layer "
        f"'{reader.name}' ({reader.type}), which has {classes}; expected 0 to {classes - 1}. Caffe "
        "does not check that: it would read and write foreign memory.",
        "Correct the labels, the number of outputs, or ignore_label.",
        source.name,
        setup.document.file,
    )


def _channels(blob: str, reader: Layer, layers: List[Layer]) -> Optional[int]:
    """Return the size of axis 1 of ``blob`` where ``reader`` reads it; None where not known.

    Layers that work in place, the search for N among them, and others that keep the channels are
    gone through.
    """
    before = layers[: next(i for i, each in enumerate(layers) if each is reader)]
    for layer in reversed(before):
        if blob not in layer.tops:
            continue
        attributes = attributes_of(layer)
        if isinstance(attributes, (InnerProduct, Convolution)):
            return attributes.num_output if attributes.axis == 1 else None
        if blob in layer.bottoms:
            continue
        if not layer_type(layer).keeps_channels or not layer.bottoms:
            return None
        return _channels(layer.bottoms[0], layer, layers)
    return None
