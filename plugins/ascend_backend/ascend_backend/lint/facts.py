"""How well a message is founded, to end it with; the page of its rule names the sources."""

from __future__ import annotations

from typing import Any, Optional

from ascend_backend.lint.model import DeployModel
from ascend_backend.targets import INFERRED, VERIFIED, Fact, Target


def target_of(model: DeployModel) -> Optional[Target]:
    """Return the processor that the model is linted for; None if ATC takes no Caffe models for it.

    That is an error of its own, beside which nothing else about the processor matters.
    """
    target = model.target
    return None if target is None or target.family.accepts_caffe.value is False else target


def known(fact: Fact[Any]) -> str:
    """Return how well ``fact`` is known."""
    return f"({fact.status})"


def follows(fact: Fact[Any]) -> str:
    """Return how well something is known that follows from ``fact``: never better than inferred."""
    return f"({INFERRED if fact.status == VERIFIED else fact.status})"
