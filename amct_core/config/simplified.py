"""The simplified configuration: AMCT's ``retrain_config_caffe.proto`` in text form.

Precedence: ``override_layer_configs`` before ``override_layer_types`` before the global
configuration.  Our optional additions: ``shift_n_algo``, ``batch_norm`` and ``deploy_backend`` at
the top; in a data configuration ``init_algo``, ``clip_lr_mult`` and, for a plugin's algorithm,
``algo``; in a weight configuration ``algo``.
"""

from __future__ import annotations

from typing import Dict, Optional, Tuple

import attrs

from amct_core.config import check as checks
from amct_core.config.json_format import check_activation, checked
from amct_core.config.model import (
    ActivationConfig,
    Facts,
    LayerConfig,
    QatConfig,
    Reasons,
    WeightConfig,
)
from amct_core.config.text_fields import check_fields, named_messages, required
from amct_core.config.values import Section, given
from amct_core.errors import ConfigError
from amct_core.files import read_text
from amct_core.textproto import Message, parse

_TOP = frozenset(
    {
        "skip_layers",
        "skip_layer_types",
        "override_layer_configs",
        "override_layer_types",
        "batch_num",
        "retrain_data_quant_config",
        "retrain_weight_quant_config",
        "quant_skip_layers",
        "quant_skip_types",
        "shift_n_algo",
        "batch_norm",
        "deploy_backend",
    }
)
_REPEATED = (
    "skip_layers",
    "skip_layer_types",
    "override_layer_configs",
    "override_layer_types",
    "quant_skip_layers",
    "quant_skip_types",
)
_UNSUPPORTED = ("skip_layer_types", "quant_skip_types")
_ULQ_NAMES = ("ulq_quantize", "ActULQquantize")


@attrs.frozen
class Override:
    """What one layer or one layer type gets instead of the global configuration."""

    activation: Optional[ActivationConfig]
    weight: Optional[WeightConfig]


@attrs.frozen
class SimplifiedConfig:
    """A simplified configuration as read; ``whole`` has no layers."""

    file: str
    whole: QatConfig
    activation: ActivationConfig
    weight: WeightConfig
    skip_layers: Tuple[str, ...]
    layer_overrides: Dict[str, Override]
    type_overrides: Dict[str, Override]


def read(path: str) -> SimplifiedConfig:
    """Read a simplified configuration.

    Raises:
        ConfigError: naming file, field, what was found and what was expected.
        FileFormatError: the file is not in text format.
    """
    return from_text(read_text(path), path)


def from_text(text: str, file: str) -> SimplifiedConfig:
    """Return what ``text`` holds; errors as :func:`read`."""
    message = parse(text, file)
    check_fields(message, _TOP, file, "", _REPEATED)
    for name in _UNSUPPORTED:
        if message.has(name):
            raise ConfigError(
                "layer types cannot be skipped for Caffe, as in AMCT.",
                file=file,
                field=name,
                remedy="List the layers in skip_layers.",
            )
    whole = given(
        batch_num=message.integer("batch_num"),
        shift_n_algo=message.string("shift_n_algo"),
        batch_norm=message.string("batch_norm"),
        deploy_backend=message.string("deploy_backend"),
    )
    return SimplifiedConfig(
        file=file,
        whole=checked(QatConfig(**whole), Section({}, file)),
        activation=_activation(required(message, "retrain_data_quant_config", file), file),
        weight=_weight(required(message, "retrain_weight_quant_config", file), file),
        skip_layers=(*message.strings("skip_layers"), *message.strings("quant_skip_layers")),
        layer_overrides=_overrides(message, "override_layer_configs", "layer_name", file),
        type_overrides=_overrides(message, "override_layer_types", "layer_type", file),
    )


def apply(simplified: SimplifiedConfig, facts: Facts, reasons: Reasons) -> QatConfig:
    """Return the full configuration of a network.

    Args:
        simplified: as read.
        facts: the layers that can be quantized.
        reasons: why each other layer of the network cannot.

    Raises:
        ConfigError: a skipped or overridden layer is not in the network, or cannot be quantized.
    """
    _check_names(simplified, facts, reasons)
    layers: Dict[str, LayerConfig] = {}
    for name, fact in facts.items():
        activation, weight = simplified.activation, simplified.weight
        for override in (
            simplified.type_overrides.get(fact.layer_type),
            simplified.layer_overrides.get(name),
        ):
            if override is not None:
                activation = override.activation or activation
                weight = override.weight or weight
        explicit = name in simplified.layer_overrides
        if not fact.channel_wise_allowed and not explicit:
            # The global configuration speaks about types that allow it.
            weight = attrs.evolve(weight, channel_wise=False)
        layers[name] = LayerConfig(name not in simplified.skip_layers, activation, weight)
    return checks.check(simplified.whole.with_layers(layers), facts, reasons, simplified.file)


def _check_names(simplified: SimplifiedConfig, facts: Facts, reasons: Reasons) -> None:
    for field, names in (
        ("skip_layers", simplified.skip_layers),
        ("override_layer_configs", tuple(simplified.layer_overrides)),
    ):
        for name in names:
            if name in facts or (field == "skip_layers" and name in reasons):
                continue
            why = reasons.get(name, "the network has no layer of this name.")
            raise ConfigError(
                why, file=simplified.file, layer=name, field=field, remedy="Remove it."
            )
    types = {fact.layer_type for fact in facts.values()}
    for layer_type in simplified.type_overrides:
        if layer_type not in types:
            raise ConfigError(
                f"no layer of type '{layer_type}' can be quantized here; expected one of "
                f"{', '.join(sorted(types))}.",
                file=simplified.file,
                field="override_layer_types",
                remedy="Remove it.",
            )


def _overrides(message: Message, field: str, key: str, file: str) -> Dict[str, Override]:
    known = ("retrain_data_quant_config", "retrain_weight_quant_config")
    overrides: Dict[str, Override] = {}
    for name, entry in named_messages(message, field, key, known, file).items():
        data = entry.message("retrain_data_quant_config")
        weight = entry.message("retrain_weight_quant_config")
        overrides[name] = Override(
            None if data is None else _activation(data, file),
            None if weight is None else _weight(weight, file),
        )
    return overrides


def _activation(message: Message, file: str) -> ActivationConfig:
    where = "retrain_data_quant_config"
    check_fields(message, (*_ULQ_NAMES, "algo", "init_algo", "clip_lr_mult"), file, where)
    inner = next((m for name in _ULQ_NAMES for m in message.messages(name)), Message())
    check_fields(inner, ("clip_max_min", "fixed_min", "dst_type"), file, where)
    clips = inner.message("clip_max_min")
    high = low = None
    if clips is not None:
        check_fields(clips, ("clip_max", "clip_min"), file, f"{where}.clip_max_min")
        high, low = clips.number("clip_max"), clips.number("clip_min")
        if high is None or low is None:
            raise ConfigError(
                "clip_max and clip_min are both required.",
                file=file,
                field=f"{where}.clip_max_min",
                remedy="Give both.",
            )
    values = given(
        algo=message.string("algo"),
        clip_max=high,
        clip_min=low,
        fixed_min=inner.boolean("fixed_min"),
        init_algo=message.string("init_algo"),
        clip_lr_mult=message.number("clip_lr_mult"),
    )
    config = ActivationConfig(**values)
    check_activation(config, Section({}, file, None, where))
    return config


def _weight(message: Message, file: str) -> WeightConfig:
    where = "retrain_weight_quant_config"
    check_fields(message, ("arq_retrain", "algo"), file, where)
    inner = message.message("arq_retrain") or Message()
    check_fields(inner, ("channel_wise", "dst_type"), file, where)
    return WeightConfig(
        **given(algo=message.string("algo"), channel_wise=inner.boolean("channel_wise"))
    )
