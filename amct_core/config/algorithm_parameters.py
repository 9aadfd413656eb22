"""The parameters of algorithms in a configuration: checked, and with their defaults."""

from __future__ import annotations

from typing import Dict, Optional

import attrs

from amct_core.config.model import ActivationConfig, LayerConfig, QatConfig, WeightConfig
from amct_core.extensions.parameters import as_json, read_parameters
from amct_core.plugins import Registries


def with_parameters(config: QatConfig, plugins: Registries, file: Optional[str]) -> QatConfig:
    """Return ``config`` with all parameters of the algorithms that it names.

    Args:
        config: whose names of algorithms are known.
        plugins: the algorithms.
        file: the configuration's file, for messages.

    Raises:
        ConfigError: a name is unknown or missing, a value is of another type or out of range; the
            message names file, layer, key and algorithm.
    """
    search = plugins.shift_searches.get(config.shift_n_algo)
    found = read_parameters(
        search.parameters,
        config.shift_n_algo_parameters,
        f"shift-N search '{search.name}'",
        file=file,
        key="shift_n_algo_parameters",
    )
    layers: Dict[str, LayerConfig] = {}
    for name, layer in config.layers.items():
        weight = layer.weight
        layers[name] = attrs.evolve(
            layer,
            activation=_activation(layer.activation, plugins, file, name),
            weight=None if weight is None else _weight(weight, plugins, file, name),
        )
    return attrs.evolve(config, shift_n_algo_parameters=as_json(found), layers=layers)


def _activation(
    config: ActivationConfig, plugins: Registries, file: Optional[str], layer: str
) -> ActivationConfig:
    algorithm = plugins.activation_algorithms.get(config.algo)
    calibrator = plugins.calibrators.get(config.init_algo)
    own = read_parameters(
        algorithm.parameters,
        config.algo_parameters,
        f"activation algorithm '{algorithm.name}'",
        file=file,
        layer=layer,
        key="retrain_data_config.algo_parameters",
    )
    first = read_parameters(
        calibrator.parameters,
        config.init_algo_parameters,
        f"calibrator '{calibrator.name}'",
        file=file,
        layer=layer,
        key="retrain_data_config.init_algo_parameters",
    )
    return attrs.evolve(config, algo_parameters=as_json(own), init_algo_parameters=as_json(first))


def _weight(
    config: WeightConfig, plugins: Registries, file: Optional[str], layer: str
) -> WeightConfig:
    algorithm = plugins.weight_algorithms.get(config.algo)
    own = read_parameters(
        algorithm.parameters,
        config.algo_parameters,
        f"weight algorithm '{algorithm.name}'",
        file=file,
        layer=layer,
        key="retrain_weight_config.algo_parameters",
    )
    return attrs.evolve(config, algo_parameters=as_json(own))
