"""A rule on what AMCT's layout of a deployable model has too much for ATC."""

from __future__ import annotations

from typing import Iterator

from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import ERROR, Problem, Rule


def check_taken_out(model: DeployModel) -> Iterator[Problem]:
    """Find the layers that were taken out before the other rules were asked."""
    declared = {id(layer) for layer in model.declared}
    new = [layer for layer in model.layers if id(layer) not in declared]
    for layer in model.taken_out:
        places = [
            f"{each.type} '{each.name}'"
            for each in new
            if each.name == layer.name or set(each.tops) & set(layer.tops)
        ]
        replaced = f"; {', '.join(places)} takes its place" if places else ""
        yield Problem(
            f"its type '{layer.type}' is one for training or testing{replaced}.", layer.name, "type"
        )


RULES = (
    Rule(
        "A119",
        ERROR,
        "The model is in AMCT's layout, with its data, loss and accuracy layers",
        'Save again with --backend ascend (deploy_backend="ascend" in Python), or take these '
        "layers out by hand, as AMCT's users do. amct atc takes them out itself.",
        check_taken_out,
    ),
)
