"""Gradients that Caffe is asked for and does not have."""

from __future__ import annotations

from typing import Iterator

from amct_caffe.checks.check import Violation
from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.passes.backward import find_learned_targets
from amct_core.extensions.frontend import NetworkViews


def learned_targets(views: NetworkViews) -> Iterator[Violation]:
    """Yield each target, label or index that is computed by layers that learn.

    Caffe ends the process in the first backward pass, with or without quantization.
    """
    for found in find_learned_targets([node.source for node in views.train.nodes]):
        layer, place = found.layer, found.place
        yield Violation(
            f"bottom[{place}]",
            f"blob '{layer.bottoms[place]}' depends on layer '{found.learns[-1]}', which learns; "
            f"expected one that does not: Caffe has no gradient for this bottom of {layer.type}, "
            "and ends the process in the first backward pass.",
            f"{_exchanged(layer, place)}Write "
            + " ".join(f"propagate_down: {str(i != place).lower()}" for i in range(place + 1))
            + " in the layer if it is meant to be a target.",
            layer.name,
            views.source.model_file,
        )


def _exchanged(layer: Layer, place: int) -> str:
    is_loss = "Loss" in layer.type and place == 1
    return "Put the prediction first and the target second. " if is_loss else ""
