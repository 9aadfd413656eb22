"""AMCT's functions for post-training quantization.

Names, parameters, their order and their defaults are AMCT's.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Optional, Sequence

from amct_caffe.api import _path, _save_path
from amct_core.errors import ConfigTypeError

if TYPE_CHECKING:
    from amct_core.ptq.workflow import PtqNetwork

_log = logging.getLogger("amct_caffe.ptq_api")


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
    from amct_core.config import ptq_simplified
    from amct_core.ptq import configuration

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
        simplified = configuration.simplified_config(layers, batch_num, activation_offset)
    else:
        simplified = ptq_simplified.read(_path(config_defination, "config_defination"))
        if layers or batch_num != 1 or not activation_offset:
            _log.info(
                "'%s' counts, not skip_layers, batch_num and activation_offset", config_defination
            )
    configuration.create_ptq_config(*files, simplified)


def init(
    config_file: str, model_file: str, weights_file: str, scale_offset_record_file: str
) -> PtqNetwork:
    """Read a trained network for post-training quantization, and begin its record.

    Args:
        config_file: the JSON of :func:`create_quant_config`.
        model_file, weights_file: the network, as in testing.
        scale_offset_record_file: record file; created, or emptied.

    Returns:
        What AMCT calls the graph: the argument of :func:`quantize_model` and :func:`save_model`.

    Raises:
        AmctError: a file cannot be read, the config does not fit the network, or the record is one
            of the other files; then nothing is written.
    """
    graph: PtqNetwork = _workflow().start(
        _path(config_file, "config_file"),
        _path(model_file, "model_file"),
        _path(weights_file, "weights_file"),
        _path(scale_offset_record_file, "scale_offset_record_file"),
    )
    return graph


def quantize_model(graph: PtqNetwork, modified_model_file: str, modified_weights_file: str) -> None:
    """Write the model to calibrate: fused, with quantized weights, and layers that record factors.

    Load it with ``caffe.Net(modified_model_file, modified_weights_file, caffe.TEST)`` and run
    ``batch_num`` forwards; inputs, blobs and outputs are called as in the original.

    Args:
        graph: what :func:`init` returned.
        modified_model_file, modified_weights_file: prototxt and caffemodel to write.

    Raises:
        AmctError: weights that cannot be quantized, or a file that cannot be written.
    """
    _workflow().calibration_network(
        _graph(graph),
        _path(modified_model_file, "modified_model_file"),
        _path(modified_weights_file, "modified_weights_file"),
    )


def save_model(
    graph: PtqNetwork, save_type: str, save_path: str, *, deploy_backend: Optional[str] = None
) -> None:
    """Write the fake-quant model, the deployable model, or both.

    Args:
        graph: what :func:`init` returned; calibration has completed its record.
        save_type: ``'Fakequant'``, ``'Deploy'`` or ``'Both'``.
        save_path: folder and file name prefix, such as ``'./result/user_model'``; where it is empty
            or ends in ``/``, the files have no prefix.
        deploy_backend: who writes the deployable model (not a parameter of AMCT's); None:
            ``'amct'``, AMCT's layout, which keeps the data, loss and accuracy layers of the TEST
            phase.  ``'ascend'`` is the layout that ATC takes as it is.

    Raises:
        RecordError: calibration is not complete, and the message says how many batches each layer
            has seen; or the record belongs to other weights or another configuration.  Then nothing
            is written.
        AmctError: numbers that cannot be quantized, or a file that cannot be written.
    """
    from amct_core.deploy_choice import API_DEFAULT

    _workflow().save(
        _graph(graph),
        save_type,
        _save_path(save_path),
        deploy_backend,
        default_backend=API_DEFAULT,
    )


def convert_model(
    model_file: str,
    weights_file: str,
    scale_offset_record_file: str,
    save_path: str,
    *,
    deploy_backend: Optional[str] = None,
) -> None:
    """Write the fake-quant and the deployable model with factors of your own.

    Args:
        model_file, weights_file: the network in float, as in testing.  BatchNorm and Scale are
            fused as in calibration, except into layers whose entry says ``skip_fusion``.
        scale_offset_record_file: factors that fit the fused network; layers without stay in float.
        save_path: as in :func:`save_model`.
        deploy_backend: as in :func:`save_model`.

    Raises:
        RecordError: a layer is not in the network, or its factors do not fit.
        AmctError: a file cannot be read or written, or numbers cannot be quantized.
    """
    from amct_core.deploy_choice import API_DEFAULT

    _workflow().convert(
        _path(model_file, "model_file"),
        _path(weights_file, "weights_file"),
        _path(scale_offset_record_file, "scale_offset_record_file"),
        _save_path(save_path),
        deploy_backend,
        default_backend=API_DEFAULT,
    )


def _workflow() -> Any:
    from amct_core import logging as amct_logging
    from amct_core.ptq import workflow

    amct_logging.configure()
    return workflow


def _graph(value: object) -> Any:
    from amct_core.errors import ConfigError
    from amct_core.ptq.workflow import PtqNetwork

    if not isinstance(value, PtqNetwork):
        raise ConfigError(
            f"it is a {type(value).__name__}; expected what init returned.", field="graph"
        )
    return value


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
