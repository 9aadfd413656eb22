"""Decides which layers a net has: Caffe's ``include`` and ``exclude`` rules."""

from __future__ import annotations

from typing import Iterable, List, Optional, Sequence, Tuple

import attrs

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_core.errors import ModelError
from amct_core.network_state import NetworkState
from amct_core.textproto import Identifier, Message

_STATE_FIELDS = ("min_level", "max_level", "stage", "not_stage")


@attrs.frozen
class NetState:
    """What the rules are about: the phase, a level, and stages."""

    phase: str
    level: int = 0
    stages: Sequence[str] = ()


def state_of(message: Message) -> NetworkState:
    """Return level and stages that a ``NetState`` of a prototxt gives."""
    return NetworkState(message.integer("level"), message.strings("stage"))


def phase_of(message: Message) -> Optional[str]:
    """Return the phase that a ``NetState`` or a rule gives, if it does."""
    phase = message.enum("phase")
    return None if phase is None else {"0": "TRAIN", "1": "TEST"}.get(phase, phase)


def combined(phase: str, own: NetworkState, given: NetworkState) -> NetState:
    """Return the state of a net whose file says ``own`` and whose solver says ``given``.

    A level that the solver gives replaces the file's; stages are those of both.  Source: BVLC
    Caffe, ``Solver::InitTrainNet`` and ``InitTestNets``, which merge the two messages in this order
    (protobuf's ``MergeFrom`` appends what is repeated).
    """
    levels = [level for level in (given.level, own.level, 0) if level is not None]
    return NetState(phase, levels[0], tuple(dict.fromkeys((*own.stages, *given.stages))))


def depends_on_state(layer: Layer) -> bool:
    """Return whether a rule of ``layer`` speaks of levels or stages."""
    return any(rule.has(field) for rule in rules_of(layer) for field in _STATE_FIELDS)


def rules_of(layer: Layer) -> Tuple[Message, ...]:
    """Return the rules of ``layer``, of whichever kind."""
    return (*layer.message.messages("include"), *layer.message.messages("exclude"))


def same_layers_rule(state: NetState, layers: Iterable[Layer]) -> Message:
    """Return an ``include`` rule that the nets meet which have the same of ``layers`` as ``state``.

    A net that has another of the stages or another level that the rules of ``layers`` ask for does
    not meet it, whether or not that makes a difference.
    """
    rules: List[Message] = [
        rule
        for layer in layers
        for rule in rules_of(layer)
        if phase_of(rule) in (None, state.phase)
    ]
    rule = Message()
    rule.add("phase", Identifier(state.phase))
    if any(each.has("min_level") or each.has("max_level") for each in rules):
        rule.add("min_level", state.level)
        rule.add("max_level", state.level)
    named = [name for each in rules for name in _stages(each)]
    for name in dict.fromkeys(named):
        rule.add("stage" if name in state.stages else "not_stage", name)
    return rule


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
    if phase_of(rule) not in (None, state.phase):
        return False
    lowest, highest = rule.integer("min_level"), rule.integer("max_level")
    if lowest is not None and state.level < lowest:
        return False
    if highest is not None and state.level > highest:
        return False
    if any(stage not in state.stages for stage in rule.strings("stage")):
        return False
    return not any(stage in state.stages for stage in rule.strings("not_stage"))


def _stages(rule: Message) -> List[str]:
    return [*rule.strings("stage"), *rule.strings("not_stage")]
