"""A rule on files that were not saved together."""

from __future__ import annotations

from typing import Iterator

from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import ERROR, Problem, Rule


def check_saved_set(model: DeployModel) -> Iterator[Problem]:
    """Find what the digests in the file beside say of the two files."""
    if model.mixed is not None:
        yield Problem(f"'{model.mixed.file}': {model.mixed.problem}", model.mixed.layer)


RULES = (
    Rule(
        "A120",
        ERROR,
        "Prototxt and weights were not saved together",
        "Save the model again, or copy all files of one save. If you have changed a file on "
        "purpose, remove 'digests' from PREFIX_quant.json.",
        check_saved_set,
    ),
)
