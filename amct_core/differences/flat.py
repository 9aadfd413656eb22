"""Configurations and records as values by key, defaults included."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import attrs

from amct_core.config import json_format, ptq_json
from amct_core.config.model import LayerConfig, QatConfig
from amct_core.config.ptq import PtqConfig, PtqLayer
from amct_core.network_state import NetworkState
from amct_core.record import LayerRecord, Record

Values = Mapping[str, Any]
"""Values by dotted key; None: not set."""

QAT_KIND = "QAT config"
PTQ_KIND = "PTQ config"
RECORD_KIND = "record"


@attrs.frozen
class Flat:
    """A configuration or a record.

    Attributes:
        kind: what it is, one of the kinds above.
        whole: what is not of one layer.
        layers: by name, in the order of the file.
    """

    kind: str
    whole: Values
    layers: Mapping[str, Values]


def flat_qat(config: QatConfig) -> Flat:
    """Return a configuration of training."""
    whole: Dict[str, Any] = {}
    for key in json_format.GLOBAL:
        value = getattr(config, key)
        if isinstance(value, NetworkState):
            whole[f"{key}.level"] = value.level
            whole[f"{key}.stage"] = value.stages or None
        elif isinstance(value, Mapping):
            whole.update(_below(key, value))
        else:
            whole[key] = value
    layers = {name: _qat_layer(layer) for name, layer in config.layers.items()}
    return Flat(QAT_KIND, whole, layers)


def _qat_layer(layer: LayerConfig) -> Values:
    values: Dict[str, Any] = {"retrain_enable": layer.retrain_enable}
    values.update(_below("retrain_data_config", attrs.asdict(layer.activation)))
    if layer.weight is not None:
        values.update(_below("retrain_weight_config", attrs.asdict(layer.weight)))
    return _without_objects(values)


def _without_objects(values: Values) -> Values:
    """Return ``values`` with those of an object below its key: parameters of an algorithm."""
    found: Dict[str, Any] = {}
    for key, value in values.items():
        found.update(_below(key, value) if isinstance(value, Mapping) else {key: value})
    return found


def flat_ptq(config: PtqConfig) -> Flat:
    """Return a configuration of post-training quantization."""
    whole = {key: getattr(config, key) for key in ptq_json.GLOBAL}
    layers = {name: _ptq_layer(layer) for name, layer in config.layers.items()}
    return Flat(PTQ_KIND, whole, layers)


def _ptq_layer(layer: PtqLayer) -> Values:
    activation = {"act_algo": layer.activation.act_algo, **layer.activation.parameters}
    values: Dict[str, Any] = {"quant_enable": layer.enabled}
    values.update(_below("activation_quant_params", activation))
    if layer.weight is not None:
        values.update(_below("weight_quant_params", attrs.asdict(layer.weight)))
    return values


def flat_record(record: Record) -> Flat:
    """Return a record."""
    return Flat(RECORD_KIND, {}, {name: _entry(record.get(name)) for name in record})


def _entry(layer: LayerRecord) -> Values:
    values = attrs.asdict(layer)
    return {key: None if value == () else value for key, value in values.items()}


def _below(section: str, values: Values) -> Dict[str, Any]:
    return {f"{section}.{key}": value for key, value in values.items()}
