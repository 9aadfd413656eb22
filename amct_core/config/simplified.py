"""The simplified configuration: AMCT's ``retrain_config_caffe.proto`` in text form.

Precedence: ``override_layer_configs`` before ``override_layer_types`` before the global
configuration.  Our optional additions: ``shift_n_algo``, ``batch_norm`` and ``deploy_backend`` at
the top; in a data configuration ``init_algo``, ``clip_lr_mult`` and, for a plugin's algorithm,
``algo``; in a weight configuration ``algo``.
"""

from __future__ import annotations

from typing import Dict, Mapping, Optional, Tuple

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

_DATA = "retrain_data_quant_config"
_WEIGHT = "retrain_weight_quant_config"
_BY_LAYER = "override_layer_configs"
_BY_TYPE = "override_layer_types"
_ULQ_NAMES = ("ulq_quantize", "ActULQquantize")
_ULQ = "ulq_quantize"
_CLIPS = "clip_max_min"
_ARQ = "arq_retrain"

FIELDS: Mapping[str, Tuple[str, ...]] = {
    "": (
        "skip_layers",
        "skip_layer_types",
        _BY_LAYER,
        _BY_TYPE,
        "batch_num",
        _DATA,
        _WEIGHT,
        "quant_skip_layers",
        "quant_skip_types",
        "shift_n_algo",
        "batch_norm",
        "deploy_backend",
    ),
    _DATA: (*_ULQ_NAMES, "algo", "init_algo", "clip_lr_mult"),
    f"{_DATA}.{_ULQ}": (_CLIPS, "fixed_min", "dst_type"),
    f"{_DATA}.{_ULQ}.{_CLIPS}": ("clip_max", "clip_min"),
    _WEIGHT: (_ARQ, "algo"),
    f"{_WEIGHT}.{_ARQ}": ("channel_wise", "dst_type"),
    _BY_LAYER: ("layer_name", _DATA, _WEIGHT),
    _BY_TYPE: ("layer_type", _DATA, _WEIGHT),
}
"""The fields that are known, by the message that has them; "" is the file."""

_REPEATED = (
    "skip_layers",
    "skip_layer_types",
    _BY_LAYER,
    _BY_TYPE,
    "quant_skip_layers",
    "quant_skip_types",
)
UNSUPPORTED = ("skip_layer_types", "quant_skip_types")
"""Fields that are refused, as AMCT does for Caffe."""


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
    check_fields(message, FIELDS[""], file, "", _REPEATED)
    for name in UNSUPPORTED:
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
        activation=_activation(required(message, _DATA, file), file),
        weight=_weight(required(message, _WEIGHT, file), file),
        skip_layers=(*message.strings("skip_layers"), *message.strings("quant_skip_layers")),
        layer_overrides=_overrides(message, _BY_LAYER, "layer_name", file),
        type_overrides=_overrides(message, _BY_TYPE, "layer_type", file),
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
        (_BY_LAYER, tuple(simplified.layer_overrides)),
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
                field=_BY_TYPE,
                remedy="Remove it.",
            )


def _overrides(message: Message, field: str, key: str, file: str) -> Dict[str, Override]:
    overrides: Dict[str, Override] = {}
    for name, entry in named_messages(message, field, key, FIELDS[field][1:], file).items():
        data, weight = entry.message(_DATA), entry.message(_WEIGHT)
        overrides[name] = Override(
            None if data is None else _activation(data, file),
            None if weight is None else _weight(weight, file),
        )
    return overrides


def _activation(message: Message, file: str) -> ActivationConfig:
    ulq, clipping = f"{_DATA}.{_ULQ}", f"{_DATA}.{_ULQ}.{_CLIPS}"
    check_fields(message, FIELDS[_DATA], file, _DATA)
    inner = next((m for name in _ULQ_NAMES for m in message.messages(name)), Message())
    check_fields(inner, FIELDS[ulq], file, ulq)
    _check_dst_type(inner, file, ulq)
    clips = inner.message(_CLIPS)
    high = low = None
    if clips is not None:
        check_fields(clips, FIELDS[clipping], file, clipping)
        high, low = clips.number("clip_max"), clips.number("clip_min")
        if high is None or low is None:
            raise ConfigError(
                "clip_max and clip_min are both required.",
                file=file,
                field=clipping,
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
    check_activation(config, Section({}, file, None, _DATA))
    return config


def _weight(message: Message, file: str) -> WeightConfig:
    arq = f"{_WEIGHT}.{_ARQ}"
    check_fields(message, FIELDS[_WEIGHT], file, _WEIGHT)
    inner = message.message(_ARQ) or Message()
    check_fields(inner, FIELDS[arq], file, arq)
    _check_dst_type(inner, file, arq)
    return WeightConfig(
        **given(algo=message.string("algo"), channel_wise=inner.boolean("channel_wise"))
    )


def _check_dst_type(message: Message, file: str, where: str) -> None:
    found = message.enum("dst_type", "INT8")
    if found != "INT8":
        raise ConfigError(
            f"it is {found}; expected INT8.",
            file=file,
            field=f"{where}.dst_type",
            remedy="Remove it.",
        )
