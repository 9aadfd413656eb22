"""The JSON file of a configuration.

The shape is AMCT's::

    {"version": 1, "batch_num": 1,
     "conv1": {"retrain_enable": true,
               "retrain_data_config": {"algo": "ulq_quantize"},
               "retrain_weight_config": {"algo": "arq_retrain", "channel_wise": true}}}

``train_state`` and ``test_state`` (ours) say of which variant of the network a net is::

    {"test_state": {"level": 0, "stage": ["val"]}}

An algorithm may have parameters of its own (ours)::

    {"conv1": {"retrain_data_config": {"algo": "lsq", "algo_parameters": {"first_step": 2.0}}}}

Which there are, it says itself; they are checked where the names are (:mod:`.check`).

AMCT demands that clip bounds are written with a decimal point; here ``3`` is as good as ``3.0``.
"""

from __future__ import annotations

import json
import math
from typing import Any, Dict, Mapping, Optional, Tuple

import attrs

from amct_core.config.model import (
    BATCH_NORM_MODES,
    VERSION,
    ActivationConfig,
    LayerConfig,
    QatConfig,
    WeightConfig,
)
from amct_core.config.values import Section, given
from amct_core.files import FileSet, read_text
from amct_core.network_state import NetworkState

_OURS = ("shift_n_algo", "batch_norm", "deploy_backend")
_STATES = ("train_state", "test_state")
_STATE = ("level", "stage")
_SHAPES = "input_shapes"
_SEARCH_PARAMETERS = "shift_n_algo_parameters"
GLOBAL = ("version", "batch_num", *_OURS, *_STATES, _SHAPES, _SEARCH_PARAMETERS)
"""The keys that are no layers."""

_PARAMETERS = ("algo_parameters", "init_algo_parameters")
_DATA = (
    *("algo", "clip_max", "clip_min", "fixed_min", "init_algo", "clip_lr_mult", "dst_type"),
    *_PARAMETERS,
)
_WEIGHT = ("algo", "channel_wise", "dst_type", "algo_parameters")
LAYER: Mapping[str, Tuple[str, ...]] = {
    "retrain_enable": (),
    "retrain_data_config": _DATA,
    "retrain_weight_config": _WEIGHT,
}
"""The keys of a layer's entry, and those below each."""


def read(path: str) -> QatConfig:
    """Read a configuration file.

    Raises:
        ConfigError: naming file, layer, key, what was found and what was expected.
    """
    return parse(read_text(path), path)


def parse(text: str, file: Optional[str] = None) -> QatConfig:
    """Return the configuration that JSON ``text`` holds; errors as :func:`read`."""
    remedy = "Mend the file, or create it again with create_quant_retrain_config."
    top = Section.parse(text, file, remedy)
    whole = given(
        version=top.integer("version"),
        batch_num=top.integer("batch_num"),
        **{key: top.string(key) for key in _OURS},
        **{key: _state(top.section(key)) for key in _STATES},
        input_shapes=_input_shapes(top.section(_SHAPES)) or None,
        shift_n_algo_parameters=top.section(_SEARCH_PARAMETERS).data or None,
    )
    return checked(QatConfig(**whole), top).with_layers(_layers(top))


def checked(config: QatConfig, section: Section) -> QatConfig:
    """Return ``config`` if its version, ``batch_num`` and ``batch_norm`` are in range.

    Raises:
        ConfigError: naming the key.
    """
    if config.version != VERSION:
        raise section.error("version", f"version should be {VERSION}, but is {config.version}.")
    if config.batch_num < 1:
        raise section.error("batch_num", f"it is {config.batch_num}; expected an integer above 0.")
    if config.batch_norm not in BATCH_NORM_MODES:
        modes = " or ".join(f"'{mode}'" for mode in BATCH_NORM_MODES)
        raise section.error("batch_norm", f"it is '{config.batch_norm}'; expected {modes}.")
    return config


def _state(section: Section) -> NetworkState:
    section.check_keys(_STATE)
    return NetworkState(section.integer("level"), section.strings("stage"))


def _input_shapes(section: Section) -> Dict[str, Tuple[int, ...]]:
    for blob, dims in section.data.items():
        if not isinstance(dims, list) or not dims or not all(map(_is_size, dims)):
            raise section.error(
                blob,
                f"it is {dims!r}; expected a list of integers above 0, batch size first.",
                'Write for example "input_shapes": {"data": [1, 3, 224, 224]}.',
            )
    return {blob: tuple(dims) for blob, dims in section.data.items()}


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _layers(top: Section) -> Dict[str, LayerConfig]:
    layers: Dict[str, LayerConfig] = {}
    for name, value in top.data.items():
        if name in GLOBAL:
            continue
        if not isinstance(value, dict):
            raise top.error(
                name,
                f"it is {value!r}, which is neither a known key ({', '.join(GLOBAL)}) nor a "
                "layer's entry in braces.",
                "Correct the key.",
            )
        layers[name] = _layer(top.section(name, layer=name))
    return layers


def _layer(section: Section) -> LayerConfig:
    section.check_keys(LAYER)
    weight = None
    if "retrain_weight_config" in section.data:
        weight = _weight(section.section("retrain_weight_config"))
    return LayerConfig(
        **given(retrain_enable=section.boolean("retrain_enable")),
        activation=_activation(section.section("retrain_data_config")),
        weight=weight,
    )


def _activation(section: Section) -> ActivationConfig:
    section.check_keys(_DATA)
    _check_dst_type(section)
    values = given(
        algo=section.string("algo"),
        clip_max=section.number("clip_max"),
        clip_min=section.number("clip_min"),
        fixed_min=section.boolean("fixed_min"),
        init_algo=section.string("init_algo"),
        clip_lr_mult=section.number("clip_lr_mult"),
        **{key: section.section(key).data or None for key in _PARAMETERS},
    )
    config = ActivationConfig(**values)
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
        **given(
            algo=section.string("algo"),
            channel_wise=section.boolean("channel_wise"),
            algo_parameters=section.section("algo_parameters").data or None,
        )
    )


def _check_dst_type(section: Section) -> None:
    if section.string("dst_type") not in (None, "INT8"):
        raise section.error("dst_type", f"it is '{section.data['dst_type']}'; expected 'INT8'.")


def format_config(config: QatConfig) -> str:
    """Return the JSON text of ``config``."""
    data: Dict[str, Any] = {"version": config.version, "batch_num": config.batch_num}
    _add_changed(data, config, QatConfig(), (*_OURS, _SEARCH_PARAMETERS, _SHAPES))
    for key in _STATES:
        state: NetworkState = getattr(config, key)
        if state.is_given:
            data[key] = _state_data(state)
    for name, layer in config.layers.items():
        data[name] = _layer_data(layer)
    return json.dumps(data, indent=4) + "\n"


def _state_data(state: NetworkState) -> Dict[str, Any]:
    data: Dict[str, Any] = {} if state.level is None else {"level": state.level}
    if state.stages:
        data["stage"] = list(state.stages)
    return data


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
        _add_changed(weight, layer.weight, WeightConfig(), ("algo_parameters",))
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
