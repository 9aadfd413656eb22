"""Decides which layers a net has: Caffe's ``include`` and ``exclude`` rules."""

from __future__ import annotations

from typing import Sequence

import attrs

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_core.errors import ModelError
from amct_core.textproto import Message


@attrs.frozen
class NetState:
    """What the rules are about: the phase, a level, and stages."""

    phase: str
    level: int = 0
    stages: Sequence[str] = ()


def has_layer(state: NetState, layer: Layer) -> bool:
    """Return whether a net in ``state`` has ``layer``.

    A layer without rules is always there; with ``include`` rules if one is met; with ``exclude``
    rules if none is.  Source: BVLC Caffe, ``Net::FilterNet``.

    Raises:
        ModelError: the layer has both kinds of rules.
    """
    include = layer.message.messages("include")
    exclude = layer.message.messages("exclude")
    if include and exclude:
        raise ModelError(
            f"line {layer.message.line}: it has include and exclude rules; expected one kind.",
            file=layer.message.file,
            layer=layer.name,
            field="include",
            remedy="Write it with one kind of rule.",
        )
    if include:
        return any(meets(state, rule) for rule in include)
    return not any(meets(state, rule) for rule in exclude)


def meets(state: NetState, rule: Message) -> bool:
    """Return whether ``state`` meets one rule.  Source: BVLC Caffe, ``Net::StateMeetsRule``."""
    phase = rule.enum("phase")
    if phase is not None and {"0": "TRAIN", "1": "TEST"}.get(phase, phase) != state.phase:
        return False
    lowest, highest = rule.integer("min_level"), rule.integer("max_level")
    if lowest is not None and state.level < lowest:
        return False
    if highest is not None and state.level > highest:
        return False
    if any(stage not in state.stages for stage in rule.strings("stage")):
        return False
    return not any(stage in state.stages for stage in rule.strings("not_stage"))
