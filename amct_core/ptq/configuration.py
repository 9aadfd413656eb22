"""The step of post-training quantization that makes its configuration."""

from __future__ import annotations

import logging
from typing import Optional, Sequence

from amct_core.config import forms, ptq_check, ptq_json
from amct_core.config.edits import Edits
from amct_core.config.error_list import ErrorList
from amct_core.config.network_layers import QuantizableLayers
from amct_core.config.ptq import PtqActivation, PtqConfig
from amct_core.config.ptq_application import Types, apply
from amct_core.config.ptq_ranges import check_whole
from amct_core.config.ptq_simplified import Calibration, SimplifiedPtqConfig
from amct_core.config.values import Section, given
from amct_core.distinct_files import check_distinct
from amct_core.plugins import Registries, registries
from amct_core.workflow import ConfigReport, frontend_for, quantizable_layers

_log = logging.getLogger("amct_core.ptq")

_NO_EDITS = Edits()


def create_ptq_config(
    model_file: str,
    weights_file: str,
    config_file: str,
    simplified: SimplifiedPtqConfig,
    *,
    base_file: Optional[str] = None,
    edits: Edits = _NO_EDITS,
) -> ConfigReport[PtqConfig]:
    """Find the quantizable layers and write the configuration of post-training quantization.

    Args:
        model_file, weights_file: the trained model.
        config_file: JSON file to write; an existing one is overwritten with a warning.
        simplified: what to derive it from: read from a ``quant.cfg``, or made of what the user says
            (:func:`simplified_config`).
        base_file: a configuration to begin with, in place of ``simplified``; what it does not list
            is not quantized.
        edits: what to change then.

    Raises:
        AmctError: a file cannot be read, nothing can be quantized, ``simplified`` or ``edits`` name
            what the network does not have, or ``config_file`` is a file that is read.
    """
    check_distinct(
        {
            "model_file": model_file,
            "weights_file": weights_file,
            "config_defination": simplified.file,
            "base": base_file,
            **edits.files,
        },
        {"config_file": config_file},
    )
    report = ptq_config(model_file, weights_file, simplified, base_file=base_file, edits=edits)
    ptq_json.write(config_file, report.config)
    _log.info("Generate config file:%s success!", config_file)
    return report


def ptq_config(
    model_file: str,
    weights_file: str,
    simplified: SimplifiedPtqConfig,
    *,
    base_file: Optional[str] = None,
    edits: Edits = _NO_EDITS,
) -> ConfigReport[PtqConfig]:
    """Do what :func:`create_ptq_config` does, and write nothing."""
    plugins = registries()
    frontend = frontend_for(model_file, plugins)
    views = frontend.read_for_inference(model_file, weights_file)
    frontend.check(views)
    layers = quantizable_layers(views, plugins, model_file, post_training=True)
    if base_file is None:
        config = apply(simplified, layers, quantizable_types(plugins))
        ptq_check.check_names(config, plugins, simplified.file)
    else:
        config = _based(base_file, layers, plugins)

    def checked(changed: PtqConfig) -> PtqConfig:
        changed = ptq_check.check(changed, layers, None)
        ptq_check.check_names(changed, plugins, None)
        return changed

    before = None if edits == _NO_EDITS else config
    config = edits.apply(config, layers, forms.PTQ, checked)
    return ConfigReport(config, tuple(layers.supported), layers.unsupported, before)


def _based(file: str, layers: QuantizableLayers, plugins: Registries) -> PtqConfig:
    """Return the configuration of ``file`` with an entry for each layer of the network."""
    errors = ErrorList()
    read = ptq_json.read(file, errors)
    config = ptq_check.find_faults(read, layers, plugins, file, errors)
    errors.raise_all()
    return ptq_check.check(forms.PTQ.complete(config, layers.supported), layers, file)


def simplified_config(
    skip_layers: Sequence[str] = (),
    batch_num: Optional[int] = None,
    activation_offset: Optional[bool] = None,
    act_algo: Optional[str] = None,
) -> SimplifiedPtqConfig:
    """Return what a user says without a file; None: the default.

    Args:
        skip_layers: layers that are not to be quantized.
        batch_num: forwards that calibrate the activations; > 0.
        activation_offset: whether activations have an offset.
        act_algo: calibrator of every layer.

    Raises:
        ConfigError: ``batch_num`` is out of range.
    """
    whole = PtqConfig(**given(batch_num=batch_num, activation_offset=activation_offset))
    check_whole(whole, Section({}, None))
    common = None if act_algo is None else Calibration("act_algo", PtqActivation(act_algo))
    return SimplifiedPtqConfig(whole=whole, skip_layers=tuple(skip_layers), common=common)


def quantizable_types(plugins: Registries) -> Types:
    """Return what makes each quantizable layer type so, by name."""
    return {
        each.name: each.quantization
        for each in plugins.layer_types
        if each.quantization is not None
    }
