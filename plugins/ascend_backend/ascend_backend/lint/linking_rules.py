"""Rules on what ATC links to the inputs of the operators."""

from __future__ import annotations

from typing import Iterator, List

from ascend_backend.lint.layer_types import CONVOLUTION_TYPES
from ascend_backend.lint.linking import LinkedLayer
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import ERROR, Problem, Rule


def check_bottoms_of_entries(model: DeployModel) -> Iterator[Problem]:
    """Find entries with blobs whose number of bottoms is not that of the prototxt."""
    for linked in model.linked:
        entry, layer = linked.entry, linked.layer
        if not _counts_differ(linked) or entry is None:
            continue
        saved = " (as our first versions saved them)" if model.weights.names_no_bottoms else ""
        yield Problem(
            f"its entry in the weights file has {len(entry.bottoms)} bottoms{saved}, the prototxt "
            f"{len(layer.bottoms)}: ATC links its blobs to the inputs from {len(entry.bottoms)} "
            f"on. {_outcome(linked)}",
            layer.name,
            "bottom",
        )


def check_links(model: DeployModel) -> Iterator[Problem]:
    """Find inputs of operators that get something else than they are meant for."""
    for linked in model.linked:
        if linked.entry is None or not linked.entry.blobs or _counts_differ(linked):
            continue
        if linked.layer.type in CONVOLUTION_TYPES and len(linked.layer.bottoms) > 1:
            continue  # ATC refuses it before it links anything, which A019 reports.
        found: List[str] = [
            f"{linked.input_name(index)} gets {' and '.join(linked.links[index])}; expected one"
            for index in linked.contested
        ]
        found += [
            f"{linked.input_name(index)} gets {linked.links[index][0]}; expected a blob"
            for index in linked.misplaced
            if index not in linked.contested
        ]
        found += [
            f"{linked.input_name(index)} gets nothing; expected a blob" for index in linked.unlinked
        ]
        if found:
            yield Problem(f"{', '.join(found)}.", linked.layer.name, "bottom")


def _counts_differ(linked: LinkedLayer) -> bool:
    """Return whether the entry tells another number of bottoms than the layer has."""
    entry = linked.entry
    return (
        entry is not None and bool(entry.blobs) and len(entry.bottoms) != len(linked.layer.bottoms)
    )


def _outcome(linked: LinkedLayer) -> str:
    """Return what ATC does where the numbers of bottoms differ."""
    if linked.unlinked:
        return (
            f"It finds {linked.input_name(linked.unlinked[0])} unlinked and stops with E11019 "
            "(E19999 in present releases)."
        )
    if linked.contested:
        return (
            f"A blob lands on {linked.input_name(linked.contested[0])}, which is for the data; the "
            "inference of shapes then fails (E50060, E70007)."
        )
    return "The blobs then are not where the operator expects them."


RULES = (
    Rule(
        "A042",
        ERROR,
        "An entry of the weights file has another number of bottoms than its layer",
        "Save the model again, without training: the entries then have their bottoms.",
        check_bottoms_of_entries,
    ),
    Rule(
        "A043",
        ERROR,
        "An input of an operator gets something else than it is meant for",
        "Correct the bottoms of the layer, or its blobs.",
        check_links,
    ),
)
