"""Applies a simplified configuration of post-training quantization to a network."""

from __future__ import annotations

import logging
from typing import Dict, Mapping, Optional, Tuple

import attrs

from amct_core.config import ptq_check
from amct_core.config.model import LayerFacts
from amct_core.config.network_layers import QuantizableLayers
from amct_core.config.ptq import PtqActivation, PtqConfig, PtqLayer, PtqWeight
from amct_core.config.ptq_simplified import (
    BY_LAYER,
    BY_TYPE,
    COMMON,
    CONVOLUTIONS,
    OTHERS,
    Calibration,
    SimplifiedPtqConfig,
)
from amct_core.config.values import suggestion
from amct_core.errors import ConfigError
from amct_core.extensions import Quantization

_log = logging.getLogger("amct_core.config")

Types = Mapping[str, Quantization]
"""What makes each quantizable layer type so, by name."""


def apply(simplified: SimplifiedPtqConfig, layers: QuantizableLayers, types: Types) -> PtqConfig:
    """Return the full configuration of a network.

    Args:
        simplified: as read.
        layers: those of the network.
        types: the quantizable types, whether the network has such layers or not.

    Raises:
        ConfigError: a layer or type that is named is not there or cannot be quantized, or every
            layer is skipped.
    """
    simplified = _without_deprecated(simplified, types)
    _check_layers(simplified, layers)
    _check_types(simplified, types)
    _tell_what_is_dropped(simplified)
    entries: Dict[str, PtqLayer] = {}
    for name, fact in layers.supported.items():
        enabled = (
            name not in simplified.skip_layers
            and fact.layer_type not in simplified.skip_layer_types
        )
        activation, weight = _calibration(name, fact, simplified)
        entries[name] = PtqLayer(enabled, activation, weight)
    config = simplified.whole.with_layers(entries)
    if not config.enabled:
        fields = [f for f in ("skip_layers", "skip_layer_types") if getattr(simplified, f)]
        raise ConfigError(
            f"Except {' and '.join(fields)}, no layer needs to quantize.",
            file=simplified.file,
            field=fields[0],
            remedy="Skip fewer layers.",
        )
    return ptq_check.check(config, layers, simplified.file)


def _without_deprecated(simplified: SimplifiedPtqConfig, types: Types) -> SimplifiedPtqConfig:
    """Return ``simplified`` with what the deprecated messages say as overrides of types."""
    deprecated = {CONVOLUTIONS: simplified.convolutions, OTHERS: simplified.others}
    present = {name: each for name, each in deprecated.items() if each is not None}
    if simplified.common is not None or simplified.by_type or simplified.by_layer:
        for name in present:
            _log.warning(
                "'%s': %s field would be ignored when %s or override_layer_types exists",
                *(simplified.file, name, COMMON),
            )
        return simplified
    by_type: Dict[str, Calibration] = {}
    for name, each in present.items():
        _log.info(
            "'%s': %s field has been deprecated, use %s and override_layer_types instead.",
            *(simplified.file, name, COMMON),
        )
        by_channels = name == CONVOLUTIONS
        if not by_channels and each.weight is not None and each.weight.channel_wise:
            raise _only_false(simplified, f"{name} field", name)
        for kind, quantization in types.items():
            if bool(quantization.channel_wise_allowed) == by_channels:
                by_type[kind] = each
    return attrs.evolve(simplified, by_type=by_type)


def _check_layers(simplified: SimplifiedPtqConfig, layers: QuantizableLayers) -> None:
    for name in simplified.skip_layers:
        ptq_check.require_quantizable_layer(name, layers, simplified.file, "skip_layers")
        if name in layers.unsupported:
            _log.info("layer '%s' is in skip_layers, and could not be quantized anyway", name)
    for name in simplified.by_layer:
        ptq_check.require_quantizable_layer(name, layers, simplified.file, BY_LAYER)
        if name in layers.unsupported:
            raise ConfigError(
                f"Layer {name} does not support quantization: {layers.unsupported[name]}",
                file=simplified.file,
                layer=name,
                field=BY_LAYER,
                remedy="Remove it.",
            )


def _check_types(simplified: SimplifiedPtqConfig, types: Types) -> None:
    for field, names in (
        ("skip_layer_types", simplified.skip_layer_types),
        (BY_TYPE, tuple(simplified.by_type)),
    ):
        for name in names:
            if name not in types:
                raise ConfigError(
                    f"Layer type {name} does not support quantize. Types that do: "
                    f"{', '.join(sorted(types))}.",
                    file=simplified.file,
                    field=field,
                    remedy=suggestion(name, types, "Remove it."),
                )
    for name, each in simplified.by_type.items():
        by_channels = each.weight is not None and each.weight.channel_wise
        if by_channels and not types[name].channel_wise_allowed:
            raise _only_false(simplified, f"{name} type", BY_TYPE)


def _calibration(
    name: str, fact: LayerFacts, simplified: SimplifiedPtqConfig
) -> Tuple[PtqActivation, PtqWeight]:
    override = simplified.by_layer.get(name) or simplified.by_type.get(fact.layer_type)
    chosen = override or simplified.common or Calibration("")
    weight = chosen.weight or PtqWeight()
    if weight.channel_wise and not fact.channel_wise_allowed:
        if name in simplified.by_layer:
            raise _only_false(simplified, f"{name} layer", BY_LAYER, name)
        _log.info("layer '%s' has one scale; channel_wise of %s is for others", name, chosen.source)
        weight = attrs.evolve(weight, channel_wise=False)
    return chosen.activation or PtqActivation(), weight


def _tell_what_is_dropped(simplified: SimplifiedPtqConfig) -> None:
    """Log which values of ``common_config`` an override replaces by defaults without saying so."""
    for override in (*simplified.by_type.values(), *simplified.by_layer.values()):
        for what, words in (("activation", "activations"), ("weight", "weights")):
            common = getattr(simplified.common, what, None)
            if getattr(override, what) is None and common is not None:
                _log.info(
                    "%s says nothing of the %s, so the defaults count there, not %s",
                    *(override.source, words, COMMON),
                )


def _only_false(
    simplified: SimplifiedPtqConfig, whose: str, field: str, layer: Optional[str] = None
) -> ConfigError:
    return ConfigError(
        f"channel_wise can only be False for {whose}.",
        file=simplified.file,
        layer=layer,
        field=f"{field}.arq_quantize.channel_wise",
        remedy="Set it to false.",
    )
