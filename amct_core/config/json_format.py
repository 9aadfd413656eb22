"""The JSON file of a configuration.

The shape is AMCT's::

    {"version": 1, "batch_num": 1,
     "conv1": {"retrain_enable": true,
               "retrain_data_config": {"algo": "ulq_quantize"},
               "retrain_weight_config": {"algo": "arq_retrain", "channel_wise": true}}}

AMCT demands that clip bounds are written with a decimal point; here ``3`` is as good as ``3.0``.
"""

from __future__ import annotations

import json
import math
from typing import Any, Dict, List, Optional, Tuple

import attrs

from amct_core.config.model import (
    VERSION,
    ActivationConfig,
    LayerConfig,
    QatConfig,
    WeightConfig,
)
from amct_core.config.values import Section
from amct_core.errors import ConfigError
from amct_core.files import FileSet, read_text

BATCH_NORM_MODES = ("keep", "fold")
_GLOBAL = ("version", "batch_num", "shift_n_algo", "batch_norm", "deploy_backend")
_LAYER = ("retrain_enable", "retrain_data_config", "retrain_weight_config")
_DATA = ("algo", "clip_max", "clip_min", "fixed_min", "init_algo", "clip_lr_mult", "dst_type")
_WEIGHT = ("algo", "channel_wise", "dst_type")


def read(path: str) -> QatConfig:
    """Read a configuration file.

    Raises:
        ConfigError: naming file, layer, key, what was found and what was expected.
    """
    return parse(read_text(path), path)


def parse(text: str, file: Optional[str] = None) -> QatConfig:
    """Return the configuration that JSON ``text`` holds; errors as :func:`read`."""
    try:
        data = json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, file))
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}.",
            file=file,
            remedy="Mend the file, or create it again with create_quant_retrain_config.",
        ) from error
    if not isinstance(data, dict):
        raise ConfigError(f"it holds a {type(data).__name__}; expected an object.", file=file)
    top = Section(data, file)
    version = top.integer("version", VERSION)
    if version != VERSION:
        raise top.error("version", f"version should be {VERSION}, but is {version}.")
    batch_num = top.integer("batch_num", 1)
    if batch_num < 1:
        raise top.error("batch_num", f"it is {batch_num}; expected an integer above 0.")
    batch_norm = top.string("batch_norm", "keep")
    if batch_norm not in BATCH_NORM_MODES:
        raise top.error("batch_norm", f"it is '{batch_norm}'; expected 'keep' or 'fold'.")
    return QatConfig(
        batch_num=batch_num,
        shift_n_algo=top.string("shift_n_algo", "search_n_v2"),
        batch_norm=batch_norm,
        deploy_backend=top.string("deploy_backend", "ascend"),
        layers=_layers(top),
    )


def _unique(pairs: List[Tuple[str, Any]], file: Optional[str]) -> Dict[str, Any]:
    result: Dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ConfigError(
                "the key is there twice.", file=file, field=key, remedy="Remove one of the two."
            )
        result[key] = value
    return result


def _layers(top: Section) -> Dict[str, LayerConfig]:
    layers: Dict[str, LayerConfig] = {}
    for name, value in top.data.items():
        if name in _GLOBAL:
            continue
        if not isinstance(value, dict):
            raise top.error(
                name,
                f"it is {value!r}, which is neither a known key ({', '.join(_GLOBAL)}) nor a "
                "layer's entry in braces.",
                "Correct the key.",
            )
        layers[name] = _layer(top.section(name, layer=name))
    return layers


def _layer(section: Section) -> LayerConfig:
    section.check_keys(_LAYER)
    weight = None
    if "retrain_weight_config" in section.data:
        weight = _weight(section.section("retrain_weight_config"))
    return LayerConfig(
        retrain_enable=bool(section.boolean("retrain_enable", True)),
        activation=_activation(section.section("retrain_data_config")),
        weight=weight,
    )


def _activation(section: Section) -> ActivationConfig:
    section.check_keys(_DATA)
    _check_dst_type(section)
    config = ActivationConfig(
        algo=section.string("algo", "ulq_quantize"),
        clip_max=section.number("clip_max", None),
        clip_min=section.number("clip_min", None),
        fixed_min=section.boolean("fixed_min", None),
        init_algo=section.string("init_algo", "ifmr"),
        clip_lr_mult=section.number("clip_lr_mult", 1.0) or 0.0,
    )
    check_activation(config, section)
    return config


def check_activation(config: ActivationConfig, section: Section) -> None:
    """Check the ranges of one ``retrain_data_config``.

    Raises:
        ConfigError: naming the key.
    """
    high, low = config.clip_max, config.clip_min
    if (high is None) != (low is None):
        missing = "clip_max" if high is None else "clip_min"
        raise section.error(
            missing,
            "it is missing; clip_max and clip_min take effect together.",
            "Give both or none.",
        )
    if high is not None and not (math.isfinite(high) and high > 0):
        raise section.error("clip_max", f"clip max should be larger than 0, but is {high}.")
    if low is not None and not (math.isfinite(low) and low < 0):
        raise section.error("clip_min", f"clip min should be less than 0, but is {low}.")
    if not (math.isfinite(config.clip_lr_mult) and config.clip_lr_mult >= 0):
        raise section.error(
            "clip_lr_mult", f"it is {config.clip_lr_mult}; expected a number of at least 0."
        )


def _weight(section: Section) -> WeightConfig:
    section.check_keys(_WEIGHT)
    _check_dst_type(section)
    return WeightConfig(
        algo=section.string("algo", "arq_retrain"),
        channel_wise=section.boolean("channel_wise", None),
    )


def _check_dst_type(section: Section) -> None:
    if section.string("dst_type", "INT8") != "INT8":
        raise section.error("dst_type", f"it is '{section.data['dst_type']}'; expected 'INT8'.")


def format_config(config: QatConfig) -> str:
    """Return the JSON text of ``config``."""
    data: Dict[str, Any] = {"version": config.version, "batch_num": config.batch_num}
    _add_changed(data, config, QatConfig(), ("shift_n_algo", "batch_norm", "deploy_backend"))
    for name, layer in config.layers.items():
        data[name] = _layer_data(layer)
    return json.dumps(data, indent=4) + "\n"


def _layer_data(layer: LayerConfig) -> Dict[str, Any]:
    activation: Dict[str, Any] = {"algo": layer.activation.algo}
    keys = [field.name for field in attrs.fields(ActivationConfig) if field.name != "algo"]
    _add_changed(activation, layer.activation, ActivationConfig(), keys)
    data: Dict[str, Any] = {
        "retrain_enable": layer.retrain_enable,
        "retrain_data_config": activation,
    }
    if layer.weight is not None:
        weight: Dict[str, Any] = {"algo": layer.weight.algo}
        if layer.weight.channel_wise is not None:
            weight["channel_wise"] = layer.weight.channel_wise
        data["retrain_weight_config"] = weight
    return data


def _add_changed(data: Dict[str, Any], config: Any, default: Any, keys: Any) -> None:
    for key in keys:
        value = getattr(config, key)
        if value != getattr(default, key):
            data[key] = value


def write(path: str, config: QatConfig) -> None:
    """Write ``config``; an existing file is overwritten with a warning."""
    with FileSet() as files:
        files.add(path, format_config(config))
