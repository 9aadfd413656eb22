"""Checks a configuration of post-training quantization against the network it is for."""

from __future__ import annotations

import inspect
from typing import Dict, Optional

from amct_core.config.check import look_up
from amct_core.config.error_list import ErrorList
from amct_core.config.model import LayerFacts
from amct_core.config.network_layers import QuantizableLayers
from amct_core.config.ptq import PARAMETERS, PtqActivation, PtqConfig, PtqLayer, resolved_layer
from amct_core.config.ptq_json import GLOBAL
from amct_core.config.values import suggestion
from amct_core.errors import ConfigError, NothingEnabledError
from amct_core.extensions import Calibrator
from amct_core.plugins import Registries


def check(config: PtqConfig, layers: QuantizableLayers, file: Optional[str]) -> PtqConfig:
    """Return ``config`` with defaults filled in and its layers in network order.

    Args:
        config: as read.
        layers: those of the network.
        file: the configuration's file, for messages.

    Raises:
        ConfigError: an entry's layer is not in the network or cannot be quantized, ``channel_wise``
            is not allowed for it, or a layer of ``skip_fusion_layers`` is not one that is fused.
            Several faults are told together.
    """
    errors = ErrorList()
    _check_layers(config, layers, file, errors)
    errors.raise_all()
    return _resolved(config, layers)


def check_all(
    config: PtqConfig, layers: QuantizableLayers, plugins: Registries, file: Optional[str]
) -> PtqConfig:
    """Check everything before a network is quantized as ``config`` says; return as :func:`check`.

    Raises:
        ConfigError: as :func:`check`, :func:`check_names` and :func:`check_enabled`.
    """
    errors = ErrorList()
    config = find_faults(config, layers, plugins, file, errors)
    errors.raise_all()
    check_enabled(config, file)
    return config


def find_faults(
    config: PtqConfig,
    layers: QuantizableLayers,
    plugins: Registries,
    file: Optional[str],
    errors: ErrorList,
) -> PtqConfig:
    """Put what :func:`check` and :func:`check_names` find into ``errors``; return as the former."""
    _check_layers(config, layers, file, errors)
    config = _resolved(config, layers)
    with errors.collecting():
        check_names(config, plugins, file)
    return config


def _check_layers(
    config: PtqConfig, layers: QuantizableLayers, file: Optional[str], errors: ErrorList
) -> None:
    for name in layers.supported:
        if name in GLOBAL:
            raise ConfigError(
                f"{name} is a global parameter, can not be a layer name.",
                file=file,
                layer=name,
                remedy="Rename the layer.",
            )
    for name, layer in config.layers.items():
        with errors.collecting():
            _check_entry(name, layer, layers, file)
    for name in config.skip_fusion_layers:
        with errors.collecting():
            _check_fusable(name, layers, file)


def _resolved(config: PtqConfig, layers: QuantizableLayers) -> PtqConfig:
    resolved: Dict[str, PtqLayer] = {
        name: resolved_layer(config.layers[name], fact)
        for name, fact in layers.supported.items()
        if name in config.layers
    }
    return config.with_layers(resolved)


def check_enabled(config: PtqConfig, file: Optional[str]) -> None:
    """Raise if ``config`` enables no layer.

    Raises:
        NothingEnabledError: it does not.
    """
    if not config.enabled:
        raise NothingEnabledError(
            "No quant enable layer in quant config file, please check the quant config file.",
            file=file,
            remedy="Set quant_enable of a layer to true.",
        )


def check_names(config: PtqConfig, plugins: Registries, file: Optional[str]) -> None:
    """Look up every plugin that ``config`` names, so that a wrong name is found now.

    Raises:
        ConfigError: there is nothing of this name, and the message lists what there is; or a
            calibrator does not take a parameter that it is given.
    """
    errors = ErrorList()
    for name, layer in config.layers.items():
        algo = layer.activation.act_algo
        with errors.collecting():
            look_up(plugins.calibrators.get, algo, file, name, "activation_quant_params.act_algo")
            _check_parameters(plugins.calibrators.get(algo), layer.activation, file, name)
        weight = layer.weight
        if weight is not None:
            field = "weight_quant_params.wts_algo"
            with errors.collecting():
                look_up(plugins.weight_algorithms.get, weight.algorithm, file, name, field)
    errors.raise_all()


def _check_parameters(
    calibrator: Calibrator, activation: PtqActivation, file: Optional[str], layer: str
) -> None:
    """Raise if a calibrator that is none of AMCT's does not take a parameter."""
    if calibrator.name in PARAMETERS:
        return
    if calibrator.parameters is not None:
        calibrator.bound(
            activation.parameters, file=file, layer=layer, key="activation_quant_params"
        )
        return
    function = calibrator.start or calibrator.calibrate
    taken = {} if function is None else dict(inspect.signature(function).parameters)
    if any(each.kind is each.VAR_KEYWORD for each in taken.values()):
        return
    for key in activation.parameters:
        if key not in taken:
            raise ConfigError(
                f"{key} is not valid param of quantize {calibrator.name}.",
                file=file,
                layer=layer,
                field=f"activation_quant_params.{key}",
                remedy="Remove the key.",
            )


def require_quantizable_layer(
    name: str, layers: QuantizableLayers, file: Optional[str], field: str
) -> None:
    """Raise unless ``name`` is a layer of a quantizable type.

    Raises:
        ConfigError: it is not, or the network has no such layer.
    """
    if name not in layers.types:
        raise ConfigError(
            f"Layer {name} does not exist in the graph.",
            file=file,
            layer=name,
            field=field,
            remedy=suggestion(name, layers.types, "Remove it."),
        )
    if name in layers.others:
        raise ConfigError(
            f"Layer {name} does not support quantization. {_why(name, layers)}",
            file=file,
            layer=name,
            field=field,
            remedy="Remove it.",
        )


def _why(name: str, layers: QuantizableLayers) -> str:
    reason = layers.reasons[name]
    return reason[0].upper() + reason[1:]


def _check_entry(
    name: str, layer: PtqLayer, layers: QuantizableLayers, file: Optional[str]
) -> None:
    fact = layers.supported.get(name)
    if fact is not None:
        _check_channel_wise(name, layer, fact, file)
    # A layer that is switched off may be one that never qualified.
    elif name not in layers.types or layer.enabled:
        raise _invalid_entry(name, layers, file)


def _invalid_entry(name: str, layers: QuantizableLayers, file: Optional[str]) -> ConfigError:
    if name in layers.types:
        return ConfigError(
            f"layer {name} does not support quant. {_why(name, layers)}",
            file=file,
            layer=name,
            remedy="Remove its entry.",
        )
    return ConfigError(
        f"{name} is an invalid layer name or parameter.",
        file=file,
        layer=name,
        remedy=suggestion(name, (*layers.types, *GLOBAL), "Remove its entry."),
    )


def _check_channel_wise(name: str, layer: PtqLayer, fact: LayerFacts, file: Optional[str]) -> None:
    if layer.weight is not None and layer.weight.channel_wise and not fact.channel_wise_allowed:
        raise ConfigError(
            f"The channel_wise must be False for layer type {fact.layer_type}, as far as this "
            "layer goes: its weights have one scale.",
            file=file,
            layer=name,
            field="weight_quant_params.channel_wise",
            remedy="Set it to false.",
        )


def _check_fusable(name: str, layers: QuantizableLayers, file: Optional[str]) -> None:
    if name not in layers.types:
        raise ConfigError(
            f'Layer "{name}" in skip_fusion_layers does not exist in the graph.',
            file=file,
            layer=name,
            field="skip_fusion_layers",
            remedy=suggestion(name, layers.types, "Remove it."),
        )
    kind = layers.types[name]
    # What BatchNorm and Scale are fused into is what can be quantized and has weights.
    if kind.quantization is None or kind.weights is None:
        raise ConfigError(
            f'Skip fusion layer "{name}"\'s type not in supported list: it is {kind.name}, which '
            "nothing is fused with.",
            file=file,
            layer=name,
            field="skip_fusion_layers",
            remedy="Name the layer that BatchNorm and Scale would be fused into.",
        )
