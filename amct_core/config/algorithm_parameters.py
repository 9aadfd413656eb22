"""The parameters of algorithms in a configuration: checked, and with their defaults."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Union

import attrs

from amct_core.config.model import ActivationConfig, LayerConfig, QatConfig, WeightConfig
from amct_core.extensions import (
    ActivationAlgorithm,
    Calibrator,
    ShiftSearch,
    WeightAlgorithm,
)
from amct_core.extensions.parameters import as_json, read_parameters
from amct_core.plugins import Registries

_Parametrised = Union[ActivationAlgorithm, WeightAlgorithm, Calibrator, ShiftSearch]


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
    found = _whole(search, config.shift_n_algo_parameters, file, None, "shift_n_algo_parameters")
    layers: Dict[str, LayerConfig] = {}
    for name, layer in config.layers.items():
        weight = layer.weight
        layers[name] = attrs.evolve(
            layer,
            activation=_activation(layer.activation, plugins, file, name),
            weight=None if weight is None else _weight(weight, plugins, file, name),
        )
    return attrs.evolve(config, shift_n_algo_parameters=found, layers=layers)


def _activation(
    config: ActivationConfig, plugins: Registries, file: Optional[str], layer: str
) -> ActivationConfig:
    algorithm = plugins.activation_algorithms.get(config.algo)
    calibrator = plugins.calibrators.get(config.init_algo)
    section = "retrain_data_config"
    return attrs.evolve(
        config,
        algo_parameters=_whole(
            algorithm, config.algo_parameters, file, layer, f"{section}.algo_parameters"
        ),
        init_algo_parameters=_whole(
            calibrator, config.init_algo_parameters, file, layer, f"{section}.init_algo_parameters"
        ),
    )


def _weight(
    config: WeightConfig, plugins: Registries, file: Optional[str], layer: str
) -> WeightConfig:
    algorithm = plugins.weight_algorithms.get(config.algo)
    key = "retrain_weight_config.algo_parameters"
    found = _whole(algorithm, config.algo_parameters, file, layer, key)
    return attrs.evolve(config, algo_parameters=found)


def _whole(
    extension: _Parametrised,
    given: Mapping[str, Any],
    file: Optional[str],
    layer: Optional[str],
    key: str,
) -> Dict[str, Any]:
    """Return the parameters of ``extension``: those that are given, and defaults of the others."""
    owner = f"{extension.kind} '{extension.name}'"
    found = read_parameters(extension.parameters, given, owner, file=file, layer=layer, key=key)
    return as_json(found)
