"""AMCT's function that makes the configuration of post-training quantization."""

from __future__ import annotations

import logging
from typing import Any, Optional, Sequence

from amct_caffe.api import _path
from amct_core.errors import ConfigTypeError

_log = logging.getLogger("amct_caffe.ptq_config_api")


def create_quant_config(
    config_file: str,
    model_file: str,
    weights_file: str,
    skip_layers: Optional[Sequence[str]] = None,
    batch_num: int = 1,
    activation_offset: bool = True,
    config_defination: Optional[str] = None,
) -> None:
    """Find the layers that can be quantized and write the configuration of their quantization.

    Args:
        config_file: JSON file to write; an existing one is overwritten with a warning.
        model_file: the trained network's prototxt, as in testing.
        weights_file: its caffemodel.
        skip_layers: layers that get ``quant_enable: false``; None: none.
        batch_num: forwards that calibrate the activations; > 0.
        activation_offset: whether activations have an offset; False: their ranges are symmetric.
        config_defination: a simplified configuration (text proto) to derive the JSON from.  It then
            counts instead of the three parameters before, as in AMCT.

    Raises:
        ConfigTypeError: an argument is of the wrong type.
        ConfigError: a layer to skip is not there or cannot be quantized, or nothing is left.
        AmctError: a file cannot be read, or does not fit the others.
    """
    from amct_core import logging as amct_logging
    from amct_core import ptq_workflow
    from amct_core.config import ptq_simplified

    amct_logging.configure()
    layers = _layer_names(skip_layers)
    _require("batch_num", batch_num, int)
    _require("activation_offset", activation_offset, bool)
    files = (
        _path(model_file, "model_file"),
        _path(weights_file, "weights_file"),
        _path(config_file, "config_file"),
    )
    if config_defination is None:
        simplified = ptq_workflow.simplified_config(layers, batch_num, activation_offset)
    else:
        simplified = ptq_simplified.read(_path(config_defination, "config_defination"))
        if layers or batch_num != 1 or not activation_offset:
            _log.info(
                "'%s' counts, not skip_layers, batch_num and activation_offset", config_defination
            )
    ptq_workflow.create_ptq_config(*files, simplified)


def _layer_names(value: object) -> Sequence[str]:
    if value is None:
        return ()
    names = list(value) if isinstance(value, (list, tuple)) else [value]
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in names):
        raise _wrong_type("skip_layers", value, "list of str")
    return names


def _require(argument: str, value: object, kind: type) -> None:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _wrong_type(argument, value, kind.__name__)


def _wrong_type(argument: str, value: Any, expected: str) -> ConfigTypeError:
    return ConfigTypeError(
        f"Func create_quant_config argument {argument} must be {expected}. It is {value!r}.",
        field=argument,
        remedy="Correct the argument.",
    )
