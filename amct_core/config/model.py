"""The configuration as data.

Keys and defaults are AMCT's; those marked *ours* are left out of the file at their default.  The
defaults are said here and nowhere else.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional, Tuple

import attrs

from amct_core.network_state import NetworkState, NetworkStates

VERSION = 1
BATCH_NORM_MODES = ("keep", "fold")


@attrs.frozen
class ActivationConfig:
    """``retrain_data_config``: how a layer's input is quantized.

    Attributes:
        algo: registered activation algorithm.
        clip_max, clip_min: first clip bounds, > 0 and < 0; None: found from data.
        fixed_min: whether the lower bound is pinned at 0; None: follows from the network.
        init_algo: registered calibrator that finds the bounds (ours).
        clip_lr_mult: learning rate multiplier of the bounds (ours).
        algo_parameters, init_algo_parameters: what the two algorithms have of their own, by name,
            as JSON holds it (ours).
    """

    algo: str = "ulq_quantize"
    clip_max: Optional[float] = None
    clip_min: Optional[float] = None
    fixed_min: Optional[bool] = None
    init_algo: str = "ifmr"
    clip_lr_mult: float = 1.0
    algo_parameters: Mapping[str, Any] = attrs.field(factory=dict)
    init_algo_parameters: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class WeightConfig:
    """``retrain_weight_config``: how a layer's weights are quantized.

    Attributes:
        algo: registered weight algorithm.
        channel_wise: one scale per output channel; None: the layer type's default.
        algo_parameters: what the algorithm has of its own, by name, as JSON holds it (ours).
    """

    algo: str = "arq_retrain"
    channel_wise: Optional[bool] = None
    algo_parameters: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class LayerConfig:
    """One layer's entry; ``weight`` is None for a layer type without weights.

    Attributes:
        retrain_enable: whether the layer is quantized.
        activation: how its input is quantized.
        weight: how its weights are quantized.
    """

    retrain_enable: bool = True
    activation: ActivationConfig = attrs.field(factory=ActivationConfig)
    weight: Optional[WeightConfig] = attrs.field(factory=WeightConfig)


@attrs.frozen
class QatConfig:
    """The whole configuration.

    Attributes:
        batch_num: TRAIN forwards that initialise the bounds; TEST forwards of a search for N.
        shift_n_algo: registered shift-N search (ours).
        batch_norm: one of :data:`BATCH_NORM_MODES` (ours).
        deploy_backend: registered deploy backend; None: the default of the entrance that saves
            (ours): :mod:`amct_core.deploy_choice`.
        train_state, test_state: in which the network is trained and tested (ours).
        layers: entries by layer name, in network order.
        version: of the format; always 1.
        input_shapes: shapes of network inputs by blob, batch size first, in place of what the
            network's data layers tell (ours).
        shift_n_algo_parameters: what the search has of its own, by name, as JSON holds it (ours).
    """

    batch_num: int = 1
    shift_n_algo: str = "search_n_v2"
    batch_norm: str = "keep"
    deploy_backend: Optional[str] = None
    train_state: NetworkState = attrs.field(factory=NetworkState)
    test_state: NetworkState = attrs.field(factory=NetworkState)
    layers: Mapping[str, LayerConfig] = attrs.field(factory=dict)
    version: int = VERSION
    input_shapes: Mapping[str, Tuple[int, ...]] = attrs.field(factory=dict)
    shift_n_algo_parameters: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def enabled(self) -> Mapping[str, LayerConfig]:
        """The entries of the layers that are to be quantized."""
        return {name: layer for name, layer in self.layers.items() if layer.retrain_enable}

    @property
    def states(self) -> NetworkStates:
        """In which states the network is trained and tested, as far as the configuration says."""
        return NetworkStates(self.train_state, self.test_state)

    def with_states(self, states: NetworkStates) -> QatConfig:
        """Return the configuration for a network in other states."""
        return attrs.evolve(self, train_state=states.train, test_state=states.test)

    def with_layers(self, layers: Mapping[str, LayerConfig]) -> QatConfig:
        """Return the configuration with other layers."""
        return attrs.evolve(self, layers=dict(layers))


@attrs.frozen
class LayerFacts:
    """What a configuration needs to know about a layer that can be quantized."""

    layer_type: str
    channel_wise_allowed: bool
    default_channel_wise: bool
    has_weights: bool


Facts = Mapping[str, LayerFacts]
"""Facts by layer name, in network order."""

Reasons = Mapping[str, str]
"""Why each other layer of the network cannot be quantized."""


def resolved_layer(layer: LayerConfig, facts: LayerFacts) -> LayerConfig:
    """Return ``layer`` with the defaults of its layer type filled in."""
    if not facts.has_weights:
        return attrs.evolve(layer, weight=None)
    weight = layer.weight if layer.weight is not None else WeightConfig()
    if weight.channel_wise is None:
        weight = attrs.evolve(weight, channel_wise=facts.default_channel_wise)
    return attrs.evolve(layer, weight=weight)


def default_config(facts: Facts) -> QatConfig:
    """Return the configuration that quantizes every layer of ``facts`` with AMCT's defaults."""
    return QatConfig(layers={n: resolved_layer(LayerConfig(), fact) for n, fact in facts.items()})
