"""The steps of quantization-aware training as plain functions, for the API and the command line.

Each step reads files, calls pure code, and writes files: all of a step's output appears or none.
"""

from __future__ import annotations

import logging
import os
from typing import Callable, Dict, Generic, List, Mapping, Optional, Sequence, Tuple, TypeVar

import attrs

from amct_core import record as records
from amct_core.config import forms, json_format, simplified
from amct_core.config.algorithm_parameters import with_parameters
from amct_core.config.check import check, check_inserted, check_names
from amct_core.config.edits import Edits
from amct_core.config.model import QatConfig, default_config
from amct_core.config.ptq import PtqConfig
from amct_core.deploy_choice import COMMANDS_DEFAULT, DeployChoice, deploy_choice
from amct_core.deploying import stage_deployable
from amct_core.derive import derive, updated_record
from amct_core.distinct_files import check_distinct
from amct_core.errors import ConfigError, ModelError
from amct_core.extensions import Frontend
from amct_core.extensions.frontend import InsertionRequest, NetworkViews
from amct_core.file_names import SAVE_TYPES, deploy_files, fake_quant_files
from amct_core.files import FileSet
from amct_core.graph import Graph
from amct_core.graph.input_shapes import check_given_shapes, check_weights_fit
from amct_core.input_shapes import InputShapes
from amct_core.logging import said_by
from amct_core.network_state import NetworkStates
from amct_core.plugins import Registries, registries
from amct_core.quantizable import QuantizableLayers, find_quantizable
from amct_core.quantized_model import QuantizedModel
from amct_core.record import Record
from amct_core.retrained import RetrainedNetwork
from amct_core.watched_frontend import watched

_log = logging.getLogger("amct_core.workflow")

_NO_EDITS = Edits()

C = TypeVar("C", QatConfig, PtqConfig)

FirstBounds = Callable[[QatConfig, Graph], QatConfig]
"""Returns a checked configuration with first clip bounds; the graph is that of testing."""


@attrs.frozen
class ConfigReport(Generic[C]):
    """What was found when a config was made.

    Attributes:
        config: as it was written.
        quantizable: layers that can be quantized, in network order.
        unsupported: layers of a quantizable type that cannot be, with the reason.
        before: as it was before the changes that the user named; None: there were none.
    """

    config: C
    quantizable: Tuple[str, ...]
    unsupported: Mapping[str, str]
    before: Optional[C] = None


def frontend_for(model_file: str, plugins: Registries) -> Frontend:
    """Return the frontend that recognises ``model_file``.

    Raises:
        ModelError: the file does not exist, or no frontend knows it.
        PluginError: a frontend failed.
    """
    if not os.path.isfile(model_file):
        raise ModelError("there is no such file.", file=model_file, remedy="Check the path.")
    for each in plugins.frontends:
        frontend = watched(each, plugins)
        if frontend.recognises(model_file):
            return frontend
    known = ", ".join(plugins.frontends.names())
    if not known:
        raise ModelError(
            "no frontend recognises this file: none is installed.",
            file=model_file,
            remedy="Install amct-caffe, which reads the models of Caffe; 'amct doctor' says how, "
            "and what is wrong with it where it is installed.",
        )
    raise ModelError(
        f"no frontend recognises this file; installed: {known}.",
        file=model_file,
        remedy="Give a Caffe prototxt, or install the frontend of its framework.",
    )


def create_config(
    model_file: str,
    weights_file: str,
    config_file: str,
    simplified_config_file: Optional[str] = None,
    *,
    solver_file: Optional[str] = None,
    base_file: Optional[str] = None,
    edits: Edits = _NO_EDITS,
) -> ConfigReport[QatConfig]:
    """Find the quantizable layers and write the QAT config.

    Args:
        model_file, weights_file: the trained model.
        config_file: JSON file to write; an existing one is overwritten with a warning.
        simplified_config_file: a ``quant.cfg`` to derive the config from; None for the defaults.
        solver_file: the solver that will train; the states that it says go into the config.
        base_file: a config to begin with, in place of a simplified one or the defaults; what it
            does not list is not quantized.
        edits: what to change then.

    Raises:
        AmctError: a file cannot be read, nothing can be quantized, ``edits`` do not fit, or
            ``config_file`` is a file that is read.
    """
    check_distinct(
        {
            "model_file": model_file,
            "weights_file": weights_file,
            "config_defination": simplified_config_file,
            "solver_file": solver_file,
            "base": base_file,
            **edits.files,
        },
        {"config_file": config_file},
    )
    report = propose_config(
        model_file,
        weights_file,
        simplified_config_file,
        solver_file=solver_file,
        base_file=base_file,
        edits=edits,
    )
    json_format.write(config_file, report.config)
    _log.info("Generate config file:%s success!", config_file, extra=said_by("Config"))
    return report


def propose_config(
    model_file: str,
    weights_file: str,
    simplified_config_file: Optional[str] = None,
    *,
    solver_file: Optional[str] = None,
    base_file: Optional[str] = None,
    edits: Edits = _NO_EDITS,
) -> ConfigReport[QatConfig]:
    """Return what :func:`create_config` writes; arguments and errors as there."""
    plugins = registries()
    frontend = frontend_for(model_file, plugins)
    base = QatConfig() if base_file is None else json_format.read(base_file)
    states = states_for(frontend, base, base_file or "", solver_file)
    views = frontend.read(model_file, weights_file, states)
    frontend.check(views)
    layers = quantizable_layers(views, plugins, model_file)
    facts, reasons = layers.supported, layers.reasons
    if base_file is not None:
        config = forms.QAT.complete(check(base, facts, reasons, base_file), facts)
        config = check(config, facts, reasons, base_file)
    elif simplified_config_file is None:
        config = default_config(facts)
    else:
        config = simplified.apply(simplified.read(simplified_config_file), facts, reasons)
    config = config.with_states(states)
    check_names(config, plugins, base_file or simplified_config_file)
    config = with_parameters(config, plugins, base_file or simplified_config_file)

    def checked(changed: QatConfig) -> QatConfig:
        changed = check(changed, facts, reasons, None)
        check_names(changed, plugins, None)
        return with_parameters(changed, plugins, None)

    before = None if edits == _NO_EDITS else config
    config = edits.apply(config, layers, forms.QAT, checked)
    return ConfigReport(config, tuple(facts), layers.unsupported, before)


def insert(
    model_file: str,
    weights_file: str,
    config_file: str,
    modified_model_file: str,
    modified_weights_file: str,
    record_file: str,
    *,
    solver_file: Optional[str] = None,
    input_shapes: Optional[InputShapes] = None,
    first_bounds: Optional[FirstBounds] = None,
) -> None:
    """Put fake quantization into a model, as the config says.

    Writes the modified model, its weights and a record file without factors.  ``input_shapes`` are
    shapes of network inputs by blob, batch size first; they win over those of the config.

    Args:
        model_file, weights_file: the trained model.
        config_file: the QAT config (JSON).
        modified_model_file, modified_weights_file, record_file: to write.
        solver_file: the solver that will train; None: states are as the config says.
        first_bounds: what knows first clip bounds beside those of the config, such as
            :class:`amct_core.ptq.first_bounds.RecordedBounds`; None: they are found from data.

    Raises:
        AmctError: a file cannot be read, the config does not fit the model, or a file to write is
            one that is read, or another one to write.
    """
    insert_by(
        json_format.read(config_file),
        config_file,
        model_file,
        weights_file,
        modified_model_file,
        modified_weights_file,
        record_file,
        solver_file=solver_file,
        input_shapes=input_shapes,
        first_bounds=first_bounds,
    )


def insert_by(
    config: QatConfig,
    config_file: str,
    model_file: str,
    weights_file: str,
    modified_model_file: str,
    modified_weights_file: str,
    record_file: str,
    *,
    solver_file: Optional[str] = None,
    input_shapes: Optional[InputShapes] = None,
    first_bounds: Optional[FirstBounds] = None,
) -> None:
    """Do as :func:`insert` by a ``config`` that ``config_file`` holds, or is going to."""
    check_distinct(
        {
            "model_file": model_file,
            "weights_file": weights_file,
            "config_file": config_file,
            "solver_file": solver_file,
        },
        {
            "modified_model_file": modified_model_file,
            "modified_weights_file": modified_weights_file,
            "scale_offset_record_file": record_file,
        },
    )
    plugins = registries()
    frontend = frontend_for(model_file, plugins)
    views = frontend.read(
        model_file, weights_file, states_for(frontend, config, config_file, solver_file)
    )
    frontend.check(views)
    layers = quantizable_layers(views, plugins, model_file)
    config = check(config, layers.supported, layers.reasons, file=config_file)
    check_names(config, plugins, config_file)
    config = with_parameters(config, plugins, config_file)
    config = attrs.evolve(config, input_shapes={**config.input_shapes, **(input_shapes or {})})
    if first_bounds is not None:
        config = first_bounds(config, views.test)
    frontend.insert(
        InsertionRequest(
            views=views,
            config=config,
            config_file=config_file,
            modified_model_file=modified_model_file,
            modified_weights_file=modified_weights_file,
            record_file=record_file,
        )
    )


def save(
    model_file: str,
    weights_file: str,
    save_path: str,
    save_type: str = "Both",
    record_file: Optional[str] = None,
    config_file: Optional[str] = None,
    backend: Optional[str] = None,
    *,
    solver_file: Optional[str] = None,
    input_shapes: Optional[InputShapes] = None,
    default_backend: DeployChoice = COMMANDS_DEFAULT,
) -> Tuple[str, ...]:
    """Turn a trained modified model into the fake-quant and the deployable model.

    Args:
        model_file: the modified model.
        weights_file: a snapshot of it, taken after training.
        save_path: folder and prefix of the files to write, such as ``result/user_model``.
        save_type: ``Fakequant``, ``Deploy`` or ``Both``.
        record_file: the record of the training; None: the one that the modified model names.
        config_file: the config that the model was made with; None: as the modified model says.
        backend: name of the deploy backend; None: as the config says, else ``default_backend``.
        solver_file: the solver that has trained; its states must be those of the modified model.
        input_shapes: shapes of network inputs by blob, batch size first, in place of what the
            modified model, the config or the record tell.
        default_backend: the deploy backend where neither ``backend`` nor the config names one.

    Returns:
        The files written; the record file is brought up to date as well.

    Raises:
        AmctError: something is missing or does not fit; then nothing is written.
    """
    if save_type not in SAVE_TYPES:
        raise ConfigError(
            f"it is {save_type!r}; expected one of {', '.join(SAVE_TYPES)}.", field="save_type"
        )
    plugins = registries()
    frontend = frontend_for(model_file, plugins)
    config = json_format.read(config_file) if config_file is not None else None
    choice = deploy_choice(backend, config, config_file, default_backend)
    deploy = plugins.deploy_backends.get(choice.name) if save_type != "Fakequant" else None
    states = frontend.states_of(solver_file) if solver_file is not None else None
    network = frontend.read_retrained(model_file, weights_file, states)
    if config is not None:
        types = {layer.name: network.graph.node(layer.name).type for layer in network.layers}
        check_inserted(config, types, network.shift_n_algo, plugins, config_file)
    record_path = record_file if record_file is not None else network.record_file
    check_distinct(
        {
            "retrained_model_file": model_file,
            "retrained_weights_file": weights_file,
            "config_file": config_file,
            "solver_file": solver_file,
        },
        {"scale_offset_record_file": record_path},
        save_path,
        save_type,
    )
    record = records.read(record_path)
    _check_record(record, network, record_path)
    network = attrs.evolve(network, record_file=record_path)
    model = derive(network, record, plugins)
    model = _with_shapes(model, network, config, input_shapes, config_file)
    made_from = (model_file, weights_file)
    model = attrs.evolve(model, made_from=made_from, float_model=network.float_model)
    with FileSet() as files:
        if save_type != "Deploy":
            frontend.write_fake_quant(model, save_path, files)
        if deploy is not None:
            stage_deployable(deploy, frontend, model, save_path, files)
        written = files.paths
        files.update(record_path, records.format(updated_record(record, model)))
    if deploy is not None:
        _log.info("deploy backend '%s' has written the model: %s", choice.name, choice.reason)
    log_saved(save_path, written)
    return tuple(written)


def log_saved(save_path: str, written: Sequence[str]) -> None:
    """Say which files of models there are, in the words of AMCT."""
    for files in (fake_quant_files(save_path), deploy_files(save_path)):
        for kind, path in (("weights_file", files.weights), ("model_file", files.model)):
            if path in written:
                whole = os.path.realpath(path)
                _log.info("The %s is saved in %s", kind, whole, extra=said_by("Utils"))


def states_for(
    frontend: Frontend, config: QatConfig, config_file: str, solver_file: Optional[str]
) -> NetworkStates:
    """Return in which states a network is trained and tested.

    What a solver says counts more than what the config says; where neither says anything, the
    network's file decides.
    """
    if solver_file is None:
        return config.states
    said = frontend.states_of(solver_file)
    states = said.or_else(config.states)
    for key, mine, other in (
        ("train_state", states.train, config.train_state),
        ("test_state", states.test, config.test_state),
    ):
        if other.is_given and other != mine:
            _log.warning("'%s': %s is %s; the solver's counts: %s", config_file, key, other, mine)
    return states


def quantizable_layers(
    views: NetworkViews, plugins: Registries, model_file: str, post_training: bool = False
) -> QuantizableLayers:
    """Return which layers can be quantized, and log why others of a quantizable type cannot.

    Raises:
        ModelError: none can.
    """
    layers = find_quantizable(views, post_training)
    for reason, names in by_reason(layers.unsupported).items():
        if len(names) == 1:
            _log.info("layer '%s' is not quantized: %s", names[0], reason)
        else:
            _log.info("%d layers are not quantized: %s: %s", len(names), ", ".join(names), reason)
    if not layers.supported:
        reasons = "; ".join(f"'{name}': {why}" for name, why in layers.unsupported.items())
        raise ModelError(
            f"no layer of this network can be quantized. {reasons}".rstrip(),
            file=model_file,
            remedy=f"Types that can be: {', '.join(_quantizable_types(plugins))}.",
        )
    return layers


def by_reason(unsupported: Mapping[str, str]) -> Mapping[str, Sequence[str]]:
    """Return the layers by the reason for which they cannot be quantized."""
    found: Dict[str, List[str]] = {}
    for name, reason in unsupported.items():
        found.setdefault(reason, []).append(name)
    return found


def _quantizable_types(plugins: Registries) -> List[str]:
    return [each.name for each in plugins.layer_types if each.quantization is not None]


def _with_shapes(
    model: QuantizedModel,
    network: RetrainedNetwork,
    config: Optional[QatConfig],
    given: Optional[InputShapes],
    config_file: Optional[str],
) -> QuantizedModel:
    """Return ``model`` with the shapes of its inputs: given now, at insertion, or recorded."""
    configured = config.input_shapes if config is not None else {}
    shapes = {**configured, **network.input_shapes, **(given or {})}
    check_given_shapes(network.graph, shapes, config_file)
    check_weights_fit(network.graph, shapes)
    return attrs.evolve(model, input_shapes={**model.input_shapes, **shapes})


def _check_record(record: Record, network: RetrainedNetwork, file: str) -> None:
    trained = [layer.name for layer in network.layers]
    shapes = [shape.entry for shape in network.shape_records]
    records.check_layers(record, trained, file=file, others=shapes)
