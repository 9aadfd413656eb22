"""What each tensor of a TEST network depends on, and what each layer is for."""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

import attrs

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_type import (
    has_weights,
    layer_type,
    loss_weights,
    role_of,
    role_of_type,
)
from amct_core.extensions import Role
from amct_core.graph import Graph, Node, Value

SOURCES = (Role.INPUT, Role.DATA, Role.CONSTANT, Role.PARAMETER)
"""What gives tensors without reading any."""

ENDS = (Role.LOSS, Role.SCORE, Role.SINK)
"""What gives nothing that is of use once a network is trained."""


@attrs.frozen
class Origin:
    """What a tensor depends on.

    Attributes:
        data: on data that are no labels.
        label: on a label.
        weights: on a layer with weights.
        loss: on the result of a loss or score.
    """

    data: bool = False
    label: bool = False
    weights: bool = False
    loss: bool = False

    @property
    def is_prediction(self) -> bool:
        """Whether layers with weights have made it of data, and of nothing but data."""
        return self.data and self.weights and not self.label and not self.loss


def _combined(origins: Iterable[Origin]) -> Origin:
    found = tuple(origins)
    return Origin(
        data=any(each.data for each in found),
        label=any(each.label for each in found),
        weights=any(each.weights for each in found),
        loss=any(each.loss for each in found),
    )


@attrs.frozen(eq=False)
class AnalysedNetwork:
    """A TEST network; :mod:`amct_caffe.model.deployed` defines the words.

    Attributes:
        graph: its layers as nodes, whose ``source`` is the :class:`Layer`.
        roles: what each layer is for, in this network.
        weighted: the layers that count as layers with weights.
        features: the tensors that reach one of them.
        constants_are_data: whether no other data reach one.
        origins: what each tensor depends on.
    """

    graph: Graph
    roles: Mapping[Node, Optional[Role]]
    weighted: Set[Node]
    features: Set[Value]
    constants_are_data: bool = attrs.field(init=False)
    origins: Mapping[Value, Origin] = attrs.field(init=False)

    @constants_are_data.default
    def _no_other_data(self) -> bool:
        return not any(
            self.roles[node] in (Role.INPUT, Role.DATA) and self.features & set(node.outputs)
            for node in self.graph.nodes
        )

    @origins.default
    def _origins_in_order(self) -> Mapping[Value, Origin]:
        found: Dict[Value, Origin] = {}
        for node in self.graph.nodes:
            if self.roles[node] in SOURCES:
                own = self._of_source(node)
            else:
                # A blob that nobody makes is an input.
                own = self._of_layer(node, [found.get(v, Origin(data=True)) for v in node.inputs])
            found.update(zip(node.outputs, own))
        return found

    def is_fed(self, node: Node) -> bool:
        """Return whether the tops of ``node`` are fed with data."""
        constant = self.roles[node] is Role.CONSTANT and self.constants_are_data
        return constant or self.roles[node] in (Role.INPUT, Role.DATA)

    def origin(self, value: Value) -> Origin:
        """Return what ``value`` depends on."""
        return self.origins.get(value, Origin(data=True))

    def reads(self, node: Node) -> Tuple[Value, ...]:
        """Return what ``node`` reads once it is deployed."""
        if self.roles[node] in SOURCES:
            return ()
        return node.inputs[:1] if has_form(node) else node.inputs

    def _of_source(self, node: Node) -> List[Origin]:
        if node in self.weighted:
            return [Origin(weights=True)] * len(node.outputs)
        data = Origin(data=self.is_fed(node))
        return [data if value in self.features else Origin(label=True) for value in node.outputs]

    def _of_layer(self, node: Node, inputs: Sequence[Origin]) -> List[Origin]:
        own = _combined((*inputs, Origin(weights=node in self.weighted)))
        lost = attrs.evolve(own, loss=True)
        if has_form(node):
            return [lost, *inputs[:1]]
        if is_end(node):
            return [lost] * len(node.outputs)
        if self.roles[node] is not Role.LOSS:
            return [own] * len(node.outputs)
        return [lost if weight else own for weight in loss_weights(node.source)]


def is_end(node: Node) -> bool:
    """Return whether ``node`` is of a type that gives nothing of use after training."""
    return role_of_type(node.source) in ENDS or not node.tops


def has_form(node: Node) -> bool:
    """Return whether ``node`` is a loss of a type that has another form for inference."""
    is_loss = role_of_type(node.source) is Role.LOSS
    return is_loss and node.type.deployed_as is not None and bool(node.bottoms)


def analysed(layers: Sequence[Layer]) -> AnalysedNetwork:
    """Return the network of ``layers`` with what each layer is for, and its tensors' origins."""
    graph = Graph(
        "",
        [
            Node(each.name, layer_type(each), each.bottoms, each.tops, source=each)
            for each in layers
        ],
    )
    roles = {node: role_of(node.source) for node in graph.nodes}
    weighted = _layers_with_weights(roles)
    features = _reaching(weighted, graph)
    for node in graph.nodes:
        if roles[node] is Role.LOSS and features.intersection(node.outputs):
            roles[node] = role_of_type(node.source)
    return AnalysedNetwork(graph, roles, weighted, features)


def _layers_with_weights(roles: Mapping[Node, Optional[Role]]) -> Set[Node]:
    """Return the layers with weights; all that compute, in a network without weights."""
    computing = {node for node, role in roles.items() if role in (None, Role.PARAMETER)}
    return {node for node in computing if has_weights(node.source)} or computing


def _reaching(weighted: Set[Node], graph: Graph) -> Set[Value]:
    found: Set[Value] = set()
    for node in reversed(graph.nodes):
        if found.intersection(node.outputs[1:]) and has_form(node):
            found.update(node.inputs[:1])
        elif not is_end(node) and (node in weighted or found.intersection(node.outputs)):
            found.update(node.inputs)
    return found
