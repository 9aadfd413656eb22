"""The JSON file of a configuration of post-training quantization.

The shape is AMCT's, down to the order of keys and the blanks::

    {
        "version":1,
        "batch_num":1,
        "activation_offset":true,
        "joint_quant":false,
        "do_fusion":true,
        "skip_fusion_layers":[],
        "conv1":{
            "quant_enable":true,
            "activation_quant_params":{
                "max_percentile":0.999999,
                "min_percentile":0.999999,
                "search_range":[0.7, 1.3],
                "search_step":0.01
            },
            "weight_quant_params":{"wts_algo":"arq_quantize", "channel_wise":true}
        }
    }

A layer that is absent, has no ``quant_enable`` or has it false is not quantized; what else its
entry says is checked nevertheless.  Any other value that is missing is the default.
"""

from __future__ import annotations

import json
from typing import Any, Collection, Dict, Mapping, Optional, Tuple

import attrs

from amct_core.config.error_list import ErrorList
from amct_core.config.ptq import (
    HFMG,
    IFMR,
    NUQ,
    NUQ_REASON,
    PARAMETERS,
    PtqActivation,
    PtqConfig,
    PtqLayer,
    PtqWeight,
)
from amct_core.config.ptq_ranges import check_activation, check_whole
from amct_core.config.values import Section, given
from amct_core.errors import ConfigError
from amct_core.files import FileSet, read_text
from amct_core.json_types import is_number

GLOBAL = (
    "version",
    "batch_num",
    "activation_offset",
    "joint_quant",
    "do_fusion",
    "skip_fusion_layers",
)
"""The keys that are no layers, in the order in which they are written."""

_ACTIVATION = ("act_algo", *(key for keys in PARAMETERS.values() for key in keys))
_WEIGHT = ("wts_algo", "channel_wise")
LAYER: Mapping[str, Tuple[str, ...]] = {
    "quant_enable": (),
    "activation_quant_params": _ACTIVATION,
    "weight_quant_params": _WEIGHT,
}
"""The keys of a layer's entry, and those below each that are known without plugins."""
_NUQ_PARAMETERS = ("num_steps", "num_of_iteration")
_OF_OTHER_FRAMEWORKS = (
    "fakequant_precision_mode",
    "num_bits",
    "asymmetric",
    "tensor_quantize",
)
"""Keys that AMCT has for other frameworks; the same numbers cannot be meant here."""


def read(path: str, errors: Optional[ErrorList] = None) -> PtqConfig:
    """Read a configuration file.

    Args:
        path: the file.
        errors: takes the faults of single keys, for whoever finds more and raises all; the faulty
            keys are then as if they were missing.  None: they are raised here.

    Raises:
        ConfigError: naming file, layer, key, what was found and what was expected; where there are
            several faults, each of them.
    """
    return parse(read_text(path), path, errors)


def parse(text: str, file: Optional[str] = None, errors: Optional[ErrorList] = None) -> PtqConfig:
    """Return the configuration that JSON ``text`` holds; arguments and errors as :func:`read`."""
    top = Section.parse(text, file, "Mend the file, or create it again with create_quant_config.")
    found = ErrorList() if errors is None else errors
    config = _config(top, found)
    if errors is None:
        found.raise_all()
    return config


def _config(top: Section, errors: ErrorList) -> PtqConfig:
    whole = given(
        version=errors.value(top.integer, "version"),
        batch_num=errors.value(top.integer, "batch_num"),
        activation_offset=errors.value(top.boolean, "activation_offset"),
        joint_quant=errors.value(top.boolean, "joint_quant"),
        do_fusion=errors.value(top.boolean, "do_fusion"),
        skip_fusion_layers=errors.value(top.strings, "skip_fusion_layers"),
    )
    config = PtqConfig(**whole)
    with errors.collecting():
        check_whole(config, top)
    foreign = _refuse_keys_of_others(top, errors)
    layers: Dict[str, PtqLayer] = {}
    for name in top.data:
        if name not in GLOBAL and name not in foreign:
            with errors.collecting():
                layers[name] = _layer(top, name, errors)
    return config.with_layers(layers)


def _layer(top: Section, name: str, errors: ErrorList) -> PtqLayer:
    if not isinstance(top.data[name], dict):
        raise top.error(
            name,
            f"{name} is an invalid layer name or parameter. It is {top.data[name]!r}, which is no "
            f"layer's entry in braces; known parameters: {', '.join(GLOBAL)}.",
            "Correct the key.",
        )
    section = top.section(name, layer=name)
    _check_keys(section, LAYER, errors)
    enabled = bool(errors.value(section.boolean, "quant_enable"))
    layer = PtqLayer(enabled, weight=None)
    activation = errors.value(section.section, "activation_quant_params")
    if activation is not None:
        layer = attrs.evolve(layer, activation=_activation(activation, errors))
    if "weight_quant_params" in section.data:
        weight = errors.value(section.section, "weight_quant_params")
        if weight is not None:
            layer = attrs.evolve(layer, weight=_weight(weight, errors))
    return layer


def _activation(section: Section, errors: ErrorList) -> PtqActivation:
    algo = errors.value(section.string, "act_algo")
    if algo is not None and algo not in PARAMETERS:
        foreign = _refuse_keys_of_others(section, errors)
        return PtqActivation(algo, others=_parameters(section, algo, foreign, errors))
    _check_keys(section, _ACTIVATION, errors, remedy=_of_another(algo))
    values = given(
        act_algo=_act_algo(section, algo, errors),
        max_percentile=errors.value(section.number, "max_percentile"),
        min_percentile=errors.value(section.number, "min_percentile"),
        search_range=errors.value(section.numbers, "search_range"),
        search_step=errors.value(section.number, "search_step"),
        num_of_bins=errors.value(section.integer, "num_of_bins"),
    )
    unreadable = [key for key in _ACTIVATION if key in section.data and key not in values]
    config = PtqActivation(**values)
    with errors.collecting():
        check_activation(config, section, unreadable)
    return config


def _of_another(algo: Optional[str]) -> str:
    """Return what to do with a parameter that AMCT's calibrator ``algo`` does not take."""
    named = f"is '{algo}'" if algo is not None else f"is not given, so it is '{IFMR}'"
    return (
        "Remove the key. If it is a parameter of a plugin's calibrator, name that one: act_algo "
        f"{named}."
    )


def _parameters(
    section: Section, algo: str, foreign: Collection[str], errors: ErrorList
) -> Tuple[Tuple[str, float], ...]:
    """Return the parameters of a calibrator that is none of AMCT's; which it takes, it knows."""
    values: Dict[str, float] = {}
    for key, value in section.data.items():
        if key == "act_algo" or key in foreign:
            continue
        with errors.collecting():
            if not is_number(value):
                raise section.wrong_type(
                    key, f"it is {value!r}; expected a number, as act_algo is '{algo}'."
                )
            values[key] = value
    return tuple(values.items())


def _act_algo(section: Section, named: Optional[str], errors: ErrorList) -> Optional[str]:
    """Return the calibrator: the one that is named, or whose parameters are there."""
    present = {algo: [k for k in keys if k in section.data] for algo, keys in PARAMETERS.items()}
    if all(present.values()):
        first, second = (keys[0] for keys in present.values())
        with errors.collecting():
            raise section.error(
                second,
                f"{first} and {second} can not appear at same time: a layer has one act_algo.",
                f"Remove the parameters of {IFMR} or those of {HFMG}.",
            )
        return named
    if named is None:
        return HFMG if present[HFMG] else None
    for algo, keys in present.items():
        for key in keys if algo != named else ():
            with errors.collecting():
                raise _foreign(section, key, named)
    return named


def _weight(section: Section, errors: ErrorList) -> PtqWeight:
    algo = errors.value(section.string, "wts_algo")
    if algo == NUQ:
        with errors.collecting():
            raise section.error("wts_algo", NUQ_REASON, "Set it to arq_quantize.")
    config = PtqWeight(**given(wts_algo=algo))
    for key in _NUQ_PARAMETERS:
        if key in section.data and algo != NUQ:
            with errors.collecting():
                raise _foreign(section, key, config.wts_algo)
    _check_keys(section, (*_WEIGHT, *_NUQ_PARAMETERS), errors, _WEIGHT)
    return PtqWeight(config.wts_algo, errors.value(section.boolean, "channel_wise"))


def _foreign(section: Section, key: str, algo: str) -> ConfigError:
    return section.error(key, f"{key} is not valid param of quantize {algo}.", "Remove the key.")


def _check_keys(
    section: Section,
    known: Collection[str],
    errors: ErrorList,
    offered: Collection[str] = (),
    remedy: str = "Remove the key.",
) -> None:
    """Refuse each key that is not ``known``; ``offered`` are those to name, if not all."""
    foreign = _refuse_keys_of_others(section, errors)
    inside = f" in {section.path}" if section.path else ""
    for key, value in section.data.items():
        if key not in known and key not in foreign:
            with errors.collecting():
                alone = attrs.evolve(section, data={key: value})
                alone.check_keys(offered or known, f"Unknown parameter {key}{inside}", remedy)


def _refuse_keys_of_others(section: Section, errors: ErrorList) -> Tuple[str, ...]:
    """Refuse and return the keys that AMCT has for other frameworks."""
    # A layer may have such a name.
    found = tuple(
        key
        for key in _OF_OTHER_FRAMEWORKS
        if key in section.data and (section.layer is not None or not _is_entry(section, key))
    )
    for key in found:
        with errors.collecting():
            raise section.error(
                key, "AMCT has this key for other frameworks than Caffe.", "Remove the key."
            )
    return found


def _is_entry(section: Section, key: str) -> bool:
    return isinstance(section.data[key], dict)


def format_config(config: PtqConfig) -> str:
    """Return the JSON text of ``config``."""
    data: Dict[str, Any] = {key: getattr(config, key) for key in GLOBAL}
    for name, layer in config.layers.items():
        data[name] = _layer_data(layer)
    return json.dumps(data, indent=4, separators=(",", ":")) + "\n"


def _layer_data(layer: PtqLayer) -> Dict[str, Any]:
    algo = layer.activation.act_algo
    # A file that says nothing of act_algo is one of AMCT's versions before there was a choice.
    activation: Dict[str, Any] = {} if algo == IFMR else {"act_algo": algo}
    activation.update(layer.activation.parameters)
    data: Dict[str, Any] = {"quant_enable": layer.enabled, "activation_quant_params": activation}
    if layer.weight is not None:
        data["weight_quant_params"] = {"wts_algo": layer.weight.wts_algo}
        if layer.weight.channel_wise is not None:
            data["weight_quant_params"]["channel_wise"] = layer.weight.channel_wise
    return data


def write(path: str, config: PtqConfig) -> None:
    """Write ``config``; an existing file is overwritten with a warning."""
    with FileSet() as files:
        files.add(path, format_config(config))
