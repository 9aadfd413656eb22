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
from typing import Any, Collection, Dict, Optional, Tuple

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
from amct_core.config.values import Section, given, is_number
from amct_core.errors import ConfigError
from amct_core.files import FileSet, read_text

GLOBAL = (
    "version",
    "batch_num",
    "activation_offset",
    "joint_quant",
    "do_fusion",
    "skip_fusion_layers",
)
"""The keys that are no layers, in the order in which they are written."""

_LAYER = ("quant_enable", "activation_quant_params", "weight_quant_params")
_ACTIVATION = ("act_algo", *(key for keys in PARAMETERS.values() for key in keys))
_WEIGHT = ("wts_algo", "channel_wise")
_NUQ_PARAMETERS = ("num_steps", "num_of_iteration")
_OF_OTHER_FRAMEWORKS = (
    "fakequant_precision_mode",
    "num_bits",
    "asymmetric",
    "tensor_quantize",
)
"""Keys that AMCT has for other frameworks; the same numbers cannot be meant here."""


def read(path: str) -> PtqConfig:
    """Read a configuration file.

    Raises:
        ConfigError: naming file, layer, key, what was found and what was expected; where several
            layers have faults, of each of them.
    """
    return parse(read_text(path), path)


def parse(text: str, file: Optional[str] = None) -> PtqConfig:
    """Return the configuration that JSON ``text`` holds; errors as :func:`read`."""
    top = Section.parse(text, file, "Mend the file, or create it again with create_quant_config.")
    _refuse_keys_of_others(top)
    whole = given(
        version=top.integer("version"),
        batch_num=top.integer("batch_num"),
        activation_offset=top.boolean("activation_offset"),
        joint_quant=top.boolean("joint_quant"),
        do_fusion=top.boolean("do_fusion"),
        skip_fusion_layers=top.strings("skip_fusion_layers"),
    )
    config = PtqConfig(**whole)
    check_whole(config, top)
    return config.with_layers(_layers(top))


def _layers(top: Section) -> Dict[str, PtqLayer]:
    layers: Dict[str, PtqLayer] = {}
    errors = ErrorList()
    for name in top.data:
        if name not in GLOBAL:
            with errors.collecting():
                layers[name] = _layer(top, name)
    errors.raise_all()
    return layers


def _layer(top: Section, name: str) -> PtqLayer:
    if not isinstance(top.data[name], dict):
        raise top.error(
            name,
            f"{name} is an invalid layer name or parameter. It is {top.data[name]!r}, which is no "
            f"layer's entry in braces; known parameters: {', '.join(GLOBAL)}.",
            "Correct the key.",
        )
    section = top.section(name, layer=name)
    _check_keys(section, _LAYER)
    weight = None
    if "weight_quant_params" in section.data:
        weight = _weight(section.section("weight_quant_params"))
    return PtqLayer(
        enabled=bool(section.boolean("quant_enable")),
        activation=_activation(section.section("activation_quant_params")),
        weight=weight,
    )


def _activation(section: Section) -> PtqActivation:
    _refuse_keys_of_others(section)
    algo = section.string("act_algo")
    if algo is not None and algo not in PARAMETERS:
        return PtqActivation(algo, others=_parameters(section, algo))
    _check_keys(section, _ACTIVATION)
    values = given(
        act_algo=_act_algo(section, algo),
        max_percentile=section.number("max_percentile"),
        min_percentile=section.number("min_percentile"),
        search_range=section.numbers("search_range"),
        search_step=section.number("search_step"),
        num_of_bins=section.integer("num_of_bins"),
    )
    config = PtqActivation(**values)
    check_activation(config, section)
    return config


def _parameters(section: Section, algo: str) -> Tuple[Tuple[str, float], ...]:
    """Return the parameters of a calibrator that is none of AMCT's; which it takes, it knows."""
    values = {key: value for key, value in section.data.items() if key != "act_algo"}
    for key, value in values.items():
        if not is_number(value):
            raise section.wrong_type(
                key, f"it is {value!r}; expected a number, as act_algo is '{algo}'."
            )
    return tuple(values.items())


def _act_algo(section: Section, named: Optional[str]) -> Optional[str]:
    """Return the calibrator: the one that is named, or whose parameters are there."""
    present = {algo: [k for k in keys if k in section.data] for algo, keys in PARAMETERS.items()}
    if all(present.values()):
        first, second = (keys[0] for keys in present.values())
        raise section.error(
            second,
            f"{first} and {second} can not appear at same time: a layer has one act_algo.",
            f"Remove the parameters of {IFMR} or those of {HFMG}.",
        )
    if named is None:
        return HFMG if present[HFMG] else None
    for algo, keys in present.items():
        if keys and algo != named:
            raise _foreign(section, keys[0], named)
    return named


def _weight(section: Section) -> PtqWeight:
    algo = section.string("wts_algo")
    if algo == NUQ:
        raise section.error("wts_algo", NUQ_REASON, "Set it to arq_quantize.")
    config = PtqWeight(**given(wts_algo=algo))
    for key in _NUQ_PARAMETERS:
        if key in section.data:
            raise _foreign(section, key, config.wts_algo)
    _check_keys(section, _WEIGHT)
    return PtqWeight(config.wts_algo, section.boolean("channel_wise"))


def _foreign(section: Section, key: str, algo: str) -> ConfigError:
    return section.error(key, f"{key} is not valid param of quantize {algo}.", "Remove the key.")


def _check_keys(section: Section, known: Collection[str]) -> None:
    _refuse_keys_of_others(section)
    for key in section.data:
        if key not in known:
            inside = f" in {section.path}" if section.path else ""
            section.check_keys(known, f"Unknown parameter {key}{inside}")


def _refuse_keys_of_others(section: Section) -> None:
    for key in _OF_OTHER_FRAMEWORKS:
        # A layer may have such a name.
        if key in section.data and (section.layer is not None or not _is_entry(section, key)):
            raise section.error(
                key, "AMCT has this key for other frameworks than Caffe.", "Remove the key."
            )


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
