"""The steps of post-training quantization as plain functions, for the API and the command line.

Each step reads files, calls pure code, and writes files: all of a step's output appears or none.
Between :func:`calibration_network` and :func:`save` the user runs the modified model; only the
record connects what happens there with saving.
"""

from __future__ import annotations

import logging
import os
from typing import Iterable, Mapping, Optional, Tuple

import attrs

from amct_core import record as records
from amct_core.config import ptq_check, ptq_json
from amct_core.config.error_list import ErrorList
from amct_core.config.ptq import PtqConfig
from amct_core.deploy_choice import COMMANDS_DEFAULT, DeployChoice, deploy_choice
from amct_core.distinct_files import Files, check_distinct
from amct_core.errors import ConfigError, QuantizationError, RecordError
from amct_core.extensions import Frontend, WeightAlgorithm
from amct_core.extensions.frontend import NetworkViews
from amct_core.file_names import SAVE_TYPES
from amct_core.files import FileSet
from amct_core.graph import Graph
from amct_core.graph.input_shapes import check_given_shapes, check_weights_fit
from amct_core.input_shapes import InputShapes
from amct_core.plugins import Registries, registries
from amct_core.ptq import calibration, progress
from amct_core.ptq.completeness import check_complete
from amct_core.ptq.engine import Batch, Engine
from amct_core.ptq.from_record import has_factors, quantized_model, with_input_shapes
from amct_core.ptq.fusion import check_statistics, fuse
from amct_core.ptq.improvements.steps import Improvements
from amct_core.ptq.matching import check_matches, warn_of_misfits
from amct_core.ptq.observing import observer_for, parameters_of
from amct_core.ptq.plan import make_plan, naming_layers
from amct_core.quantizable import QuantizableLayers, find_quantizable
from amct_core.quantized_model import QuantizedModel
from amct_core.record import Record
from amct_core.workflow import frontend_for, log_saved, quantizable_layers

_log = logging.getLogger("amct_core.ptq")

_DEFAULT_WEIGHT_ALGORITHM = "arq_retrain"


@attrs.frozen(eq=False)
class PtqNetwork:
    """A network that is to be quantized after training: what AMCT's ``init`` returns.

    It does not change: each step can be run again.

    Attributes:
        graph: the network as it is in testing, fused as the configuration says.
        config: the configuration, with the defaults of each layer type.
        record_file: absolute path of the record.
        model_file, weights_file, config_file: absolute paths of what it was read from.
    """

    graph: Graph
    config: PtqConfig
    record_file: str
    model_file: str
    weights_file: str
    config_file: str

    @property
    def inputs(self) -> Files:
        """What no step may write over, by argument."""
        return {
            "config_file": self.config_file,
            "model_file": self.model_file,
            "weights_file": self.weights_file,
        }


def start(config_file: str, model_file: str, weights_file: str, record_file: str) -> PtqNetwork:
    """Read a network and its configuration, fuse it, and begin a record.

    Args:
        config_file: the configuration (JSON).
        model_file, weights_file: the trained model.
        record_file: created, or emptied.

    Raises:
        AmctError: a file cannot be read, the configuration does not fit the network, or the record
            is one of the other files.
    """
    return _started(reopen(config_file, model_file, weights_file, record_file))


def start_with(
    config: PtqConfig, config_file: str, model_file: str, weights_file: str, record_file: str
) -> PtqNetwork:
    """Do what :func:`start` does, with a configuration that has been read from ``config_file``."""
    return _started(reopen_with(config, config_file, model_file, weights_file, record_file))


def _started(network: PtqNetwork) -> PtqNetwork:
    with FileSet() as files:
        files.update(network.record_file, "")
    progress.forget(network.record_file)
    return network


def reopen(config_file: str, model_file: str, weights_file: str, record_file: str) -> PtqNetwork:
    """Return what :func:`start` returned, perhaps in another process; the record stays as it is.

    Raises:
        AmctError: a file cannot be read, or the configuration does not fit the network.
    """
    errors = ErrorList()
    config = ptq_json.read(config_file, errors)
    return reopen_with(config, config_file, model_file, weights_file, record_file, errors)


def reopen_with(
    config: PtqConfig,
    config_file: str,
    model_file: str,
    weights_file: str,
    record_file: str,
    errors: Optional[ErrorList] = None,
) -> PtqNetwork:
    """Do what :func:`reopen` does, with a configuration that has been read from ``config_file``.

    ``errors`` are the faults that reading has found: they are told with those that the network
    shows.
    """
    check_distinct(
        {"config_file": config_file, "model_file": model_file, "weights_file": weights_file},
        {"scale_offset_record_file": record_file},
    )
    plugins = registries()
    frontend = frontend_for(model_file, plugins)
    views = _inference_views(frontend, model_file, weights_file)
    layers = quantizable_layers(views, plugins, model_file, post_training=True)
    errors = ErrorList() if errors is None else errors
    config = ptq_check.find_faults(config, layers, plugins, config_file, errors)
    _check_calibrators(config, plugins, config_file, errors)
    errors.raise_all()
    ptq_check.check_enabled(config, config_file)
    if config.joint_quant:
        _log.warning(
            "'%s': joint_quant is true; the inputs of an Eltwise get factors of their own all the "
            "same",
            config_file,
        )
    graph = _fused(frontend, views.test, config.do_fusion, config.skip_fusion_layers)
    return PtqNetwork(
        graph=graph,
        config=config,
        record_file=os.path.realpath(record_file),
        # Each step looks at the files again, perhaps from another folder.
        model_file=os.path.abspath(model_file),
        weights_file=os.path.abspath(weights_file),
        config_file=os.path.abspath(config_file),
    )


def prepared(network: PtqNetwork, improvements: Improvements) -> PtqNetwork:
    """Return the network as ``improvements`` want it to be calibrated.

    Its record fits it alone: one that was calibrated otherwise, or is to be saved otherwise, is
    another network's.
    """
    frontend = frontend_for(network.model_file, registries())
    graph = frontend.rebuilt(improvements.before_calibration(network.graph))
    return attrs.evolve(network, graph=graph)


def calibration_network(
    network: PtqNetwork,
    modified_model_file: str,
    modified_weights_file: str,
    inputs_folder: Optional[str] = None,
) -> None:
    """Write the model that is calibrated, and the factors of the weights into the record.

    Args:
        network: what :func:`start` returned.
        modified_model_file, modified_weights_file: to write.
        inputs_folder: an existing folder, where calibration keeps what the quantized layers read;
            None: it keeps nothing.

    Raises:
        ConfigError: a layer's calibrator needs an engine, which the framework is not.
        AmctError: weights that cannot be quantized, a file that cannot be written, or one that
            is read, or written as another one.
    """
    check_distinct(
        network.inputs,
        {
            "scale_offset_record_file": network.record_file,
            "modified_model_file": modified_model_file,
            "modified_weights_file": modified_weights_file,
        },
    )
    plugins = registries()
    frontend = frontend_for(network.model_file, plugins)
    plan = attrs.evolve(
        make_plan(network.graph, network.config, network.record_file, plugins),
        inputs_folder=inputs_folder,
    )
    for group in plan.groups:
        with naming_layers(group):
            observer_for(
                plugins.calibrators.get(group.activation.act_algo),
                parameters_of(group.activation, network.config.activation_offset),
            )
    with FileSet() as files:
        frontend.write_calibration(plan, modified_model_file, modified_weights_file, files)
        files.update(network.record_file, records.format(plan.record()))
    progress.forget(network.record_file)


def calibrate(
    network: PtqNetwork,
    batches: Iterable[Batch],
    engine: Engine,
    shift_search: Optional[str] = None,
) -> Record:
    """Calibrate in an engine, without the framework; write the record, and return it.

    Args:
        network: what :func:`start` returned.
        batches: the data.
        engine: what runs the network.
        shift_search: name of a search for shift N; None: none is searched.

    Raises:
        AmctError: see :func:`amct_core.ptq.calibration.calibrate`; nothing is written then.
    """
    plan = make_plan(network.graph, network.config, network.record_file, registries())
    record = calibration.calibrate(plan, batches, engine, shift_search)
    with FileSet() as files:
        files.update(network.record_file, records.format(record))
    progress.forget(network.record_file)
    return record


def save(
    network: PtqNetwork,
    save_type: str,
    save_path: str,
    backend: Optional[str] = None,
    *,
    default_backend: DeployChoice = COMMANDS_DEFAULT,
    input_shapes: Optional[InputShapes] = None,
) -> Tuple[str, ...]:
    """Write the fake-quant and the deployable model from a complete record.

    Args:
        network: what :func:`start` returned.
        save_type: ``Fakequant``, ``Deploy`` or ``Both``.
        save_path: folder and prefix of the files to write.
        backend: name of the deploy backend; None: ``default_backend``.
        default_backend: the one where ``backend`` names none.
        input_shapes: of the deployed network's inputs, as the user gives them.

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
    plugins = registries()
    file = network.record_file
    record = records.read(file)
    enabled = [each.name for each in network.graph.nodes if each.name in network.config.enabled]
    seen = progress.read(file)
    check_complete(record, network.graph, enabled, network.config.batch_num, seen, file)
    algorithms = {
        name: plugins.weight_algorithms.get(layer.weight.algorithm)
        for name, layer in network.config.enabled.items()
        if layer.weight is not None
    }
    check_matches(record, network.graph, network.config, algorithms, file)
    return quantized_model(network.graph, record, algorithms, file)


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
) -> Tuple[str, ...]:
    """Write the fake-quant and the deployable model of a network that is in integers already.

    Args:
        network: where it came from.
        model: what :func:`quantized` returned, or what improvements have made of it: what they have
            changed is in both models.
        save_type, save_path, backend, default_backend, input_shapes: see :func:`save`.
        calibrated_shapes: what calibration has seen of the inputs; it counts, without the batch
            size, where nothing else tells a shape.

    Returns:
        The files written.

    Raises:
        AmctError: a file cannot be written, or is one that is read.
    """
    _check_save(save_type)
    _check_save_path(network, save_path, save_type)
    plugins = registries()
    frontend = frontend_for(network.model_file, plugins)
    choice = deploy_choice(backend, None, None, default_backend)
    # A layer may have got a bias that the file it was read from does not declare.
    made_from = (network.model_file, network.weights_file)
    model = attrs.evolve(model, graph=frontend.rebuilt(model.graph), made_from=made_from)
    model = _with_input_shapes(model, frontend, input_shapes or {}, calibrated_shapes or {})
    return _write(model, frontend, save_type, save_path, choice, plugins)


def convert(
    model_file: str,
    weights_file: str,
    record_file: str,
    save_path: str,
    backend: Optional[str] = None,
    *,
    default_backend: DeployChoice = COMMANDS_DEFAULT,
    input_shapes: Optional[InputShapes] = None,
) -> Tuple[str, ...]:
    """Write both models from a network and a record of the user's own.

    What can be fused is, except with the layers whose entry says ``skip_fusion``.  Layers without
    factors stay in float.  Scales may come from any algorithm; those under which most of a layer's
    weights would be clipped, or use little of int8, are warned of.

    Args:
        model_file, weights_file: the trained model.
        record_file: factors that fit the fused network.
        save_path: folder and prefix of the files to write.
        backend: name of the deploy backend; None: ``default_backend``.
        default_backend: the one where ``backend`` names none.
        input_shapes: of the deployed network's inputs, as the user gives them.

    Returns:
        The files written.

    Raises:
        RecordError: a layer of the record is not in the network, or factors do not fit.
        AmctError: a file cannot be read or written, or numbers cannot be quantized.
    """
    check_distinct(
        {
            "model_file": model_file,
            "weights_file": weights_file,
            "scale_offset_record_file": record_file,
        },
        {},
        save_path,
    )
    plugins = registries()
    frontend = frontend_for(model_file, plugins)
    record = records.read(record_file)
    views = _inference_views(frontend, model_file, weights_file)
    _check_layers(record, views.test, find_quantizable(views), model_file, record_file)
    unfused = tuple(name for name, entry in record.layers.items() if entry.skip_fusion)
    graph = _fused(frontend, views.test, True, unfused)
    algorithm = plugins.weight_algorithms.get(_DEFAULT_WEIGHT_ALGORITHM)
    algorithms: Mapping[str, WeightAlgorithm] = dict.fromkeys(record, algorithm)
    model = quantized_model(graph, record, algorithms, record_file)
    warn_of_misfits(record, graph, record_file)
    choice = deploy_choice(backend, None, None, default_backend)
    model = attrs.evolve(model, made_from=(model_file, weights_file))
    model = _with_input_shapes(model, frontend, input_shapes or {}, {})
    return _write(model, frontend, "Both", save_path, choice, plugins)


def _inference_views(frontend: Frontend, model_file: str, weights_file: str) -> NetworkViews:
    """Return the network as it is in testing, for both views: nothing is trained."""
    views = frontend.read_for_inference(model_file, weights_file)
    frontend.check(views)
    check_statistics(views.test)
    return views


def _check_calibrators(
    config: PtqConfig, plugins: Registries, config_file: str, errors: ErrorList
) -> None:
    """Find calibrators that do not take their parameters, or need an offset and have none."""
    for name, layer in config.enabled.items():
        activation = layer.activation
        if activation.act_algo not in plugins.calibrators.names():
            continue  # found already
        calibrator = plugins.calibrators.get(activation.act_algo)
        if calibrator.chooses:
            continue
        with errors.collecting():
            try:
                observer_for(calibrator, parameters_of(activation, config.activation_offset))
            except ConfigError as error:
                raise error.at(file=config_file, layer=name) from error
            except QuantizationError as error:
                raise ConfigError(
                    error.problem,
                    file=config_file,
                    layer=name,
                    field=".".join(("activation_quant_params", *_only(activation.parameters))),
                    remedy=error.remedy,
                ) from error


def _only(parameters: Mapping[str, object]) -> Tuple[str, ...]:
    return tuple(parameters) if len(parameters) == 1 else ()


def _fused(frontend: Frontend, graph: Graph, do_fusion: bool, skip: Tuple[str, ...]) -> Graph:
    return frontend.rebuilt(fuse(graph, frozenset(skip)) if do_fusion else graph)


def _check_layers(
    record: Record, graph: Graph, layers: QuantizableLayers, model_file: str, record_file: str
) -> None:
    if not any(has_factors(entry) for entry in record.layers.values()):
        raise RecordError(
            "record_file is empty, no layers to be quantized: no entry has factors.",
            file=record_file,
            field="record",
            remedy="Give a record with scale_d and offset_d of the layers to be quantized.",
        )
    for name, entry in record.layers.items():
        if name not in graph:
            raise RecordError(
                f"find {name} failure in '{model_file}': the network has no such layer.",
                file=record_file,
                layer=name,
                field="key",
                remedy="Give the record that was made for this network.",
            )
        if has_factors(entry) and name not in layers.supported:
            raise RecordError(
                f"layer {name} cannot be quantized: {layers.reasons[name]}",
                file=record_file,
                layer=name,
                field="key",
                remedy="Remove the entry.",
            )


def _check_save(save_type: str) -> None:
    if save_type not in SAVE_TYPES:
        raise ConfigError(
            f"it is {save_type!r}; expected one of {', '.join(SAVE_TYPES)}.", field="save_type"
        )


def _check_save_path(network: PtqNetwork, save_path: str, save_type: str) -> None:
    inputs = {**network.inputs, "scale_offset_record_file": network.record_file}
    check_distinct(inputs, {}, save_path, save_type)


def _with_input_shapes(
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


def _write(
    model: QuantizedModel,
    frontend: Frontend,
    save_type: str,
    save_path: str,
    choice: DeployChoice,
    plugins: Registries,
) -> Tuple[str, ...]:
    check_weights_fit(model.graph, model.input_shapes)
    deploy = None
    if save_type != "Fakequant":
        deploy = plugins.deploy_backends.get(choice.name)
    with FileSet() as files:
        if save_type != "Deploy":
            frontend.write_fake_quant(model, save_path, files)
        if deploy is not None:
            deploy.write(model, save_path, files)
        written = files.paths
    if deploy is not None:
        _log.info("deploy backend '%s' has written the model: %s", choice.name, choice.reason)
    log_saved(save_path, written)
    return tuple(written)
