"""Decides, without touching the network, which QAT layers go where."""

from __future__ import annotations

import logging
from typing import AbstractSet, Dict, List, Mapping, Optional, Sequence, Tuple

import attrs

from amct_core.config.model import ActivationConfig, LayerConfig, QatConfig
from amct_core.errors import ConfigError, ModelError
from amct_core.extensions import ActivationAlgorithm, ShiftSearch
from amct_core.extensions.frontend import NetworkViews
from amct_core.graph import Graph, Node, Value
from amct_core.graph.batch_norm import FoldChain, NotFoldable, find_chain
from amct_core.graph.nonnegative import sign_of
from amct_core.plugins import registries

_log = logging.getLogger("amct_caffe.qat")


@attrs.frozen(eq=False)
class PlannedLayer:
    """One layer that will be quantized.

    Attributes:
        node: the layer in the TEST phase, with its float weights.
        config: its entry of the config.
        chain: the BatchNorm and Scale that saving will fold into it.
        searches_shift: whether N is searched on its output.
    """

    node: Node
    config: LayerConfig
    chain: Optional[FoldChain]
    searches_shift: bool

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.node.name

    @property
    def output_axis(self) -> Optional[int]:
        """The axis of its weights that counts output channels; None for a type without weights."""
        axes = self.node.type.weights
        return None if axes is None else axes.output

    @property
    def scale_axis(self) -> Optional[int]:
        """The axis of its weight scales; None for one scale."""
        channel_wise = self.config.weight is not None and self.config.weight.channel_wise
        return self.output_axis if channel_wise else None


@attrs.frozen(eq=False)
class ActivationGroup:
    """One blob that gets an ActivationQAT, and the quantized layers that read it."""

    value: Value
    layers: Tuple[PlannedLayer, ...]
    activation: ActivationConfig
    fixed_min: bool

    @property
    def name(self) -> str:
        """The group is named after its first layer."""
        return self.layers[0].name

    @property
    def algorithm(self) -> ActivationAlgorithm:
        """What quantizes it."""
        return registries().activation_algorithms.get(self.activation.algo)


@attrs.frozen(eq=False)
class QatPlan:
    """Everything that will be inserted."""

    groups: Tuple[ActivationGroup, ...]
    config: QatConfig
    record_file: str


def make_plan(
    views: NetworkViews,
    config: QatConfig,
    config_file: str,
    record_file: str,
    search: ShiftSearch,
) -> QatPlan:
    """Return what has to be inserted for the enabled layers of ``config``.

    ``search`` is the one that ``config.shift_n_algo`` names.

    Raises:
        ConfigError: consumers of one blob have different ``retrain_data_config``; ``fixed_min``
            contradicts the graph; nothing is enabled.
        ModelError: TRAIN and TEST feed the layers differently.
    """
    enabled = config.enabled.keys()
    if not enabled:
        raise ConfigError(
            "no layer has retrain_enable: true.",
            file=config_file,
            remedy="Enable at least one layer, or create the config again.",
        )
    groups = []
    for value, nodes in _by_input(views.test, enabled).items():
        _check_phases_agree(views, enabled, nodes)
        layers = tuple(_planned(views, config, node, search) for node in nodes)
        activation = _common_activation(layers, config_file)
        fixed_min = _fixed_min(views.test, value, layers[0], activation, config_file)
        groups.append(ActivationGroup(value, layers, activation, fixed_min))
    return QatPlan(tuple(groups), config, record_file)


def _by_input(graph: Graph, enabled: AbstractSet[str]) -> Dict[Value, List[Node]]:
    groups: Dict[Value, List[Node]] = {}
    for node in graph.nodes:
        if node.name in enabled:
            groups.setdefault(node.inputs[0], []).append(node)
    return groups


def _check_phases_agree(views: NetworkViews, enabled: AbstractSet[str], nodes: List[Node]) -> None:
    first = nodes[0]
    in_train = views.train.node(first.name)
    siblings = [
        use.node.name
        for use in views.train.uses(in_train.inputs[0])
        if use.node.name in enabled and use.index == 0
    ]
    here = [node.name for node in nodes]
    if sorted(siblings) != sorted(here):
        raise ModelError(
            f"in TEST its input blob '{first.bottoms[0]}' is read by the quantized layers {here}, "
            f"in TRAIN its input '{in_train.bottoms[0]}' is read by {siblings}; expected the same "
            "layers in both.",
            file=views.test.file,
            layer=first.name,
            remedy="Disable these layers in the config, or give both phases the same structure.",
        )


def _planned(
    views: NetworkViews, config: QatConfig, node: Node, search: ShiftSearch
) -> PlannedLayer:
    return PlannedLayer(
        node=node,
        config=config.layers[node.name],
        chain=_chain(views, node) if node.type.weights is not None else None,
        searches_shift=search.searches(node.type),
    )


def _chain(views: NetworkViews, node: Node) -> Optional[FoldChain]:
    """Return what will be folded into ``node``: the same layers in both phases, or nothing."""
    test = find_chain(views.test, node)
    train = find_chain(views.train, views.train.node(node.name))
    for found in (test, train):
        if isinstance(found, NotFoldable):
            _log.info("layer '%s' is quantized without folding: %s", node.name, found.reason)
            return None
    assert not isinstance(test, NotFoldable) and not isinstance(train, NotFoldable)
    if _names(test) != _names(train):
        _log.info(
            "layer '%s' is quantized without folding: TRAIN and TEST differ in what follows it "
            "(%s, %s)",
            node.name,
            _names(train),
            _names(test),
        )
        return None
    return test


def _names(chain: Optional[FoldChain]) -> List[str]:
    return [node.name for node in chain.nodes] if chain is not None else []


def _common_activation(layers: Sequence[PlannedLayer], config_file: str) -> ActivationConfig:
    first = layers[0]
    for other in layers[1:]:
        for field in attrs.fields(ActivationConfig):
            mine = getattr(first.config.activation, field.name)
            theirs = getattr(other.config.activation, field.name)
            if mine != theirs:
                raise ConfigError(
                    f"it reads the same blob as layer '{first.name}', whose "
                    f"retrain_data_config.{field.name} is {mine!r}; here it is {theirs!r}.",
                    file=config_file,
                    layer=other.name,
                    field=f"retrain_data_config.{field.name}",
                    remedy="Give both layers the same retrain_data_config, or disable one.",
                )
    return first.config.activation


def _fixed_min(
    graph: Graph,
    value: Value,
    layer: PlannedLayer,
    activation: ActivationConfig,
    config_file: str,
) -> bool:
    sign = sign_of(graph, value)
    wanted = activation.fixed_min
    if wanted is not None and wanted != sign.nonnegative:
        found = "cannot be negative" if sign.nonnegative else "can be negative"
        raise ConfigError(
            f"it is {str(wanted).lower()}, but the layer's input '{value.name}' {found}, because "
            f"of {sign.decided_by!r}; expected {str(sign.nonnegative).lower()}.",
            file=config_file,
            layer=layer.name,
            field="retrain_data_config.fixed_min",
            remedy="Leave the key out: it follows from the network.",
        )
    return sign.nonnegative


def planned_layers(plan: QatPlan) -> Mapping[str, PlannedLayer]:
    """Return every planned layer by name."""
    return {layer.name: layer for group in plan.groups for layer in group.layers}
