"""In which nets of a network with ``include`` and ``exclude`` rules an inserted layer stands.

The passes look at one TRAIN and one TEST net.  A solver may have other testing nets of the same
file, in other states; the inserted layers must not stand in their way.
"""

from __future__ import annotations

from typing import List, Sequence

from amct_caffe.model.formats.prototxt.document import Layer, NetDocument
from amct_caffe.model.formats.prototxt.phases import depends_on_state, same_layers_rule
from amct_core.textproto import Field, Identifier, Message

KINDS = ("include", "exclude")


def common_rules(layers: Sequence[Layer]) -> List[Field]:
    """Return the rules of a layer that stands wherever one of ``layers`` does.

    Rules that speak of phases alone are left out: training and testing have all of ``layers``.
    ``exclude`` rules of several layers have no union; where they differ there are no rules.
    """
    if not all(depends_on_state(layer) for layer in layers):
        return []
    rules = [[field for field in layer.message if field.name in KINDS] for layer in layers]
    if all(each == rules[0] for each in rules):
        return rules[0]
    if any(field.name == "exclude" for each in rules for field in each):
        return []
    return [field for each in rules for field in each]


def search_rules(document: NetDocument) -> List[Field]:
    """Return rules for layers that search in the TEST net of the document's state, and no other.

    There are none where no rule of the network speaks of stages or levels.
    """
    if not any(depends_on_state(layer) for layer in document.layers):
        return []
    training = Message()
    training.add("phase", Identifier("TRAIN"))
    testing = same_layers_rule(document.state_in("TEST"), document.layers)
    return [Field("include", training), Field("include", testing)]


def set_rules(layer: Layer, rules: Sequence[Field]) -> None:
    """Give ``layer`` these rules, which it has not had."""
    for field in rules:
        assert isinstance(field.value, Message)
        layer.message.add(field.name, field.value.copy())


def without_state_rules(layer: Layer) -> Layer:
    """Return a copy of ``layer``, without its rules where they speak of stages or levels.

    Rules of phases stay.
    """
    copy = layer.copy()
    if depends_on_state(layer):
        for kind in KINDS:
            copy.message.remove(kind)
    return copy
