"""The last step of post-training quantization: both models, from a complete record."""

from __future__ import annotations

import logging
from typing import Mapping, Optional, Tuple

import attrs

from amct_core import record as records
from amct_core.contracts.usage import Usage
from amct_core.deploy_choice import COMMANDS_DEFAULT, DeployChoice, deploy_choice
from amct_core.distinct_files import check_distinct
from amct_core.errors import ConfigError, QuantizationError
from amct_core.extensions import Frontend
from amct_core.file_names import SAVE_TYPES
from amct_core.files import FileSet
from amct_core.float_model import FloatModel
from amct_core.graph.input_shapes import check_given_shapes, check_weights_fit
from amct_core.input_shapes import InputShapes
from amct_core.plugins import registries
from amct_core.ptq import progress
from amct_core.ptq.completeness import check_complete
from amct_core.ptq.from_record import possible_model, with_input_shapes
from amct_core.ptq.matching import check_matches
from amct_core.ptq.opening import PtqNetwork
from amct_core.quantized_model import QuantizedModel
from amct_core.workflow import frontend_for, log_saved

_log = logging.getLogger("amct_core.ptq")


def save(
    network: PtqNetwork,
    save_type: str,
    save_path: str,
    backend: Optional[str] = None,
    *,
    default_backend: DeployChoice = COMMANDS_DEFAULT,
    input_shapes: Optional[InputShapes] = None,
    final_folder: Optional[str] = None,
) -> Tuple[str, ...]:
    """Write the fake-quant and the deployable model from a complete record.

    Args:
        network: what :func:`start` returned.
        save_type: ``Fakequant``, ``Deploy`` or ``Both``.
        save_path: folder and prefix of the files to write.
        backend: name of the deploy backend; None: ``default_backend``.
        default_backend: the one where ``backend`` names none.
        input_shapes: of the deployed network's inputs, as the user gives them.
        final_folder: where the files will lie in the end; None: where they are written.

    Returns:
        The files written.

    Raises:
        RecordError: calibration is not complete, and the message says how far each layer is; or the
            record belongs to other weights or another configuration.
        AmctError: numbers that cannot be quantized, or a file that cannot be written.
    """
    _check_save(save_type)
    _check_save_path(network, save_path, save_type)
    model = quantized(network)
    return save_quantized(
        network,
        model,
        save_type,
        save_path,
        backend,
        default_backend=default_backend,
        input_shapes=input_shapes,
        final_folder=final_folder,
    )


def quantized(network: PtqNetwork) -> QuantizedModel:
    """Return the network in integers, from a complete record.

    Args:
        network: what :func:`start` or :func:`prepared` returned.

    Raises:
        RecordError: calibration is not complete, and the message says how far each layer is; or the
            record belongs to other weights or another configuration.
        QuantizationError: numbers that cannot be quantized.
    """
    model, refused = possibly_quantized(network)
    if refused:
        raise next(iter(refused.values()))
    return model


def possibly_quantized(
    network: PtqNetwork,
) -> Tuple[QuantizedModel, Mapping[str, QuantizationError]]:
    """Return what :func:`quantized` returns, with those layers in float that it refuses.

    Returns:
        The model, and by layer why it is not quantized.

    Raises:
        RecordError: as there.
    """
    plugins = registries()
    file = network.record_file
    record = records.read(file)
    enabled = [each.name for each in network.graph.nodes if each.name in network.config.enabled]
    seen = progress.read(file)
    check_complete(record, network.graph, enabled, network.config.batch_num, seen, file)
    algorithms = {
        name: plugins.weight_algorithms.get(layer.weight.algorithm).bound({}, layer=name)
        for name, layer in network.config.enabled.items()
        if layer.weight is not None
    }
    check_matches(record, network.graph, network.config, algorithms, file)
    return possible_model(network.graph, record, algorithms, file)


def save_quantized(
    network: PtqNetwork,
    model: QuantizedModel,
    save_type: str,
    save_path: str,
    backend: Optional[str] = None,
    *,
    default_backend: DeployChoice = COMMANDS_DEFAULT,
    input_shapes: Optional[InputShapes] = None,
    calibrated_shapes: Optional[InputShapes] = None,
    final_folder: Optional[str] = None,
) -> Tuple[str, ...]:
    """Write the fake-quant and the deployable model of a network that is in integers already.

    Args:
        network: where it came from.
        model: what :func:`quantized` returned, or what improvements have made of it: what they have
            changed is in both models.
        save_type, save_path, backend, default_backend, input_shapes, final_folder: see
            :func:`save`.
        calibrated_shapes: what calibration has seen of the inputs; it counts, without the batch
            size, where nothing else tells a shape.

    Returns:
        The files written.

    Raises:
        AmctError: a file cannot be written, or is one that is read.
    """
    _check_save(save_type)
    _check_save_path(network, save_path, save_type)
    frontend = frontend_for(network.model_file, registries())
    choice = deploy_choice(backend, None, None, default_backend)
    # A layer may have got a bias that the file it was read from does not declare.
    model = attrs.evolve(
        model,
        graph=frontend.rebuilt(model.graph),
        made_from=(network.model_file, network.weights_file),
        float_model=FloatModel.of(network.model_file, network.weights_file, final_folder),
    )
    model = with_shapes_of_inputs(model, frontend, input_shapes or {}, calibrated_shapes or {})
    return write_models(model, frontend, save_type, save_path, choice)


def _check_save(save_type: str) -> None:
    if save_type not in SAVE_TYPES:
        raise ConfigError(
            f"it is {save_type!r}; expected one of {', '.join(SAVE_TYPES)}.", field="save_type"
        )


def _check_save_path(network: PtqNetwork, save_path: str, save_type: str) -> None:
    inputs = {**network.inputs, "scale_offset_record_file": network.record_file}
    check_distinct(inputs, {}, save_path, save_type)


def with_shapes_of_inputs(
    model: QuantizedModel, frontend: Frontend, given: InputShapes, calibrated: InputShapes
) -> QuantizedModel:
    """Return ``model`` with the shapes of its inputs, from the first that tells one."""
    check_given_shapes(model.graph, given, None)
    shapes = {blob: tuple(shape) for blob, shape in frontend.input_shapes(model.graph).items()}
    known = {
        blob: given.get(blob) or (shape[0], *(shape[1:] or calibrated.get(blob, ())[1:]))
        for blob, shape in shapes.items()
    }
    return with_input_shapes(model, known)


def write_models(
    model: QuantizedModel,
    frontend: Frontend,
    save_type: str,
    save_path: str,
    choice: DeployChoice,
) -> Tuple[str, ...]:
    """Write the models that ``save_type`` names; return the files written.

    Raises:
        AmctError: the shapes of the inputs do not fit, or a file cannot be written.
    """
    check_weights_fit(model.graph, model.input_shapes)
    deploy = None
    if save_type != "Fakequant":
        deploy = registries().deploy_backends.get(choice.name)
    with FileSet() as files:
        if save_type != "Deploy":
            frontend.write_fake_quant(model, save_path, files)
        if deploy is not None:
            with Usage(deploy).running("write", tells_itself=True):
                deploy.write(model, save_path, files)
        written = files.paths
    if deploy is not None:
        _log.info("deploy backend '%s' has written the model: %s", choice.name, choice.reason)
    log_saved(save_path, written)
    return tuple(written)
