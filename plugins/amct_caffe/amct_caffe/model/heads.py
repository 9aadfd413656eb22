"""The heads of a network that losses turn into for inference.

1. A loss whose type has a form for inference (SoftmaxWithLoss: Softmax) takes it, with its first
   bottom and the parameters that the two share.
2. Its top is the second top of the loss, which is the same tensor.
3. Without a second top the main head is called ``prob``: the one of the largest loss weight, and of
   equal ones the last.  Others, and the main one where ``prob`` is taken, are called like their
   layer.
4. A layer or another head that computes the same already is enough, except for rule 2.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Set, Tuple

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_type import attributes_of, loss_weights
from amct_core.graph import Node, Value
from amct_core.graph.attributes import Attributes

Computation = Tuple[str, Attributes, Value]
"""Type, parameters and input of a layer that makes one tensor of another."""


def forms_for_inference(heads: Sequence[Node], others: Sequence[Node]) -> Dict[Node, Layer]:
    """Return the layers that take the place of losses.

    Args:
        heads: losses of types that have a form for inference, in network order; ``source`` of a
            node is its :class:`Layer`.
        others: all other layers that are deployed.

    Returns:
        New layers by loss; a loss that is missing is not needed.
    """
    types = {head.type.deployed_as for head in heads}
    there: Set[Computation] = {
        (node.op, attributes_of(node.source), node.inputs[0]) for node in others if node.op in types
    }
    taken = {top for node in others for top in node.tops}
    forms: Dict[Node, Layer] = {}
    for head in _by_importance(heads):
        computation = _computation(head)
        top = _top(head, is_main=head is _main(heads), taken=taken)
        if len(head.tops) > 1 or computation not in there:
            there.add(computation)
            taken.add(top)
            forms[head] = _form(head, top)
    return forms


def _by_importance(heads: Sequence[Node]) -> List[Node]:
    """Return the main head first, behind those that stay in any case."""
    ranked = [heads[place] for _, place in sorted(_ranks(heads), reverse=True)]
    return sorted(ranked, key=lambda head: len(head.tops) < 2)


def _main(heads: Sequence[Node]) -> Node:
    return heads[max(_ranks(heads))[1]]


def _ranks(heads: Sequence[Node]) -> List[Tuple[float, int]]:
    return [(loss_weights(head.source)[0], place) for place, head in enumerate(heads)]


def _computation(head: Node) -> Computation:
    assert head.type.deployed_as is not None
    return head.type.deployed_as, attributes_of(head.source), head.inputs[0]


def _top(head: Node, is_main: bool, taken: Set[str]) -> str:
    if len(head.tops) > 1:
        return head.tops[1]
    names = ["prob"] * is_main + [head.name]
    return next((name for name in names if name not in taken), f"{head.name}_prob")


def _form(head: Node, top: str) -> Layer:
    computation, bottoms = head.type.deployed_as, head.bottoms[:1]
    assert computation is not None
    form = Layer.create(head.name, computation, bottoms, [top])
    source: Layer = head.source
    parameters = source.message.message(head.type.parameters)
    if parameters is not None:
        form.message.set(head.type.parameters, parameters.copy())
    return form
