"""Checks a configuration against the network it is for."""

from __future__ import annotations

from typing import Dict, Mapping, Optional

import attrs

from amct_core.config.algorithm_parameters import with_parameters
from amct_core.config.model import Facts, LayerConfig, QatConfig, Reasons, resolved_layer
from amct_core.config.values import suggestion
from amct_core.errors import AmctError, ConfigError
from amct_core.extensions import LayerType
from amct_core.plugins import Registries


def check(config: QatConfig, facts: Facts, reasons: Reasons, file: Optional[str]) -> QatConfig:
    """Return ``config`` with defaults filled in and its layers in network order.

    Args:
        config: as read.
        facts: the layers that can be quantized.
        reasons: why each other layer of the network cannot.
        file: the configuration's file, for messages.

    Raises:
        ConfigError: an entry's layer is not in the network or cannot be quantized, or
            ``channel_wise`` is not allowed for its type.
    """
    for name, layer in config.layers.items():
        if name not in facts:
            # A layer that is switched off may be one that never qualified.
            if name in reasons and not layer.retrain_enable:
                continue
            raise _unknown(name, facts, reasons, file)
        _check_channel_wise(name, layer, facts, file)
    layers: Dict[str, LayerConfig] = {
        name: resolved_layer(config.layers[name], fact)
        for name, fact in facts.items()
        if name in config.layers
    }
    return attrs.evolve(config, layers=layers)


def check_names(config: QatConfig, plugins: Registries, file: Optional[str]) -> None:
    """Look up every plugin that ``config`` names, so that a wrong name is found now.

    Raises:
        ConfigError: there is nothing of this name; the message lists what there is.  Or an
            algorithm does not take a parameter that it is given.
    """
    look_up(plugins.shift_searches.get, config.shift_n_algo, file, None, "shift_n_algo")
    if config.deploy_backend is not None:
        look_up(plugins.deploy_backends.get, config.deploy_backend, file, None, "deploy_backend")
    for name, layer in config.layers.items():
        data = layer.activation
        look_up(
            plugins.activation_algorithms.get, data.algo, file, name, "retrain_data_config.algo"
        )
        look_up(
            plugins.calibrators.get, data.init_algo, file, name, "retrain_data_config.init_algo"
        )
        if plugins.calibrators.get(data.init_algo).chooses:
            raise ConfigError(
                f"'{data.init_algo}' compares what layers compute, which is for post-training "
                "quantization.",
                file=file,
                layer=name,
                field="retrain_data_config.init_algo",
                remedy="Name one of the calibrators that it chooses from, such as mse.",
            )
        if layer.weight is not None:
            look_up(
                plugins.weight_algorithms.get,
                layer.weight.algo,
                file,
                name,
                "retrain_weight_config.algo",
            )
    with_parameters(config, plugins, file)


def look_up(get: object, name: str, file: Optional[str], layer: Optional[str], field: str) -> None:
    """Call ``get`` with ``name``; what it does not know is an error of ``field`` of ``file``."""
    assert callable(get)
    try:
        get(name)
    except AmctError as error:
        raise ConfigError(error.problem, file=file, layer=layer, field=field) from error


def check_inserted(
    config: QatConfig,
    inserted: Mapping[str, LayerType],
    shift_n_algo: str,
    plugins: Registries,
    file: Optional[str],
) -> None:
    """Check that ``config`` is the one that a modified model was made with.

    Args:
        config: as read.
        inserted: the types of the layers that the model quantizes, by name.
        shift_n_algo: the search for N that its layers run; ``none`` if there is no such layer.
        plugins: what the names of searches mean.
        file: the configuration's file, for messages.

    Raises:
        ConfigError: it is another.
    """
    enabled = config.enabled
    differences = [
        f"'{name}' is enabled but was not inserted" for name in enabled.keys() - inserted
    ]
    differences += [
        f"'{name}' was inserted but is not enabled" for name in inserted - enabled.keys()
    ]
    if config.shift_n_algo != shift_n_algo:
        named = [plugins.shift_searches.get(name) for name in (config.shift_n_algo, shift_n_algo)]
        # Where nothing is searched, as in a network of poolings, the model cannot tell how.
        if any(search.searches(kind) for search in named for kind in inserted.values()):
            differences.append(
                f"shift_n_algo is '{config.shift_n_algo}' but '{shift_n_algo}' was inserted"
            )
    if differences:
        raise ConfigError(
            f"this config is not the one the modified model was made with: "
            f"{'; '.join(differences)}.",
            file=file,
            remedy="Give the config of create_quant_retrain_model, or insert and train again.",
        )


def _unknown(name: str, facts: Facts, reasons: Reasons, file: Optional[str]) -> ConfigError:
    if name in reasons:
        return ConfigError(
            f"this layer cannot be quantized: {reasons[name]}",
            file=file,
            layer=name,
            remedy="Remove its entry.",
        )
    return ConfigError(
        "the network has no layer of this name (nor is it a known key).",
        file=file,
        layer=name,
        remedy=suggestion(name, [*facts, *reasons], "Remove its entry."),
    )


def _check_channel_wise(name: str, layer: LayerConfig, facts: Facts, file: Optional[str]) -> None:
    fact = facts[name]
    channel_wise = layer.weight is not None and bool(layer.weight.channel_wise)
    if channel_wise and not fact.channel_wise_allowed:
        raise ConfigError(
            f"it is true, but {fact.layer_type} layers have one scale; expected false.",
            file=file,
            layer=name,
            field="retrain_weight_config.channel_wise",
            remedy="Set it to false.",
        )
