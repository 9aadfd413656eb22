"""The first steps of post-training quantization: reading a network and its config, and fusion."""

from __future__ import annotations

import logging
import os
from typing import Mapping, Optional, Tuple

import attrs

from amct_core.config import ptq_check, ptq_json
from amct_core.config.error_list import ErrorList
from amct_core.config.ptq import PtqConfig
from amct_core.distinct_files import Files, check_distinct
from amct_core.errors import ConfigError, QuantizationError
from amct_core.extensions import Frontend
from amct_core.extensions.frontend import NetworkViews
from amct_core.files import FileSet
from amct_core.graph import Graph
from amct_core.plugins import Registries, registries
from amct_core.ptq import progress
from amct_core.ptq.fusion import check_statistics, fuse
from amct_core.ptq.improvements.steps import Improvements
from amct_core.ptq.observing import observer_for, parameters_of
from amct_core.workflow import frontend_for, quantizable_layers

_log = logging.getLogger("amct_core.ptq")


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
    views = inference_views(frontend, model_file, weights_file)
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
    graph = fused(frontend, views.test, config.do_fusion, config.skip_fusion_layers)
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


def inference_views(frontend: Frontend, model_file: str, weights_file: str) -> NetworkViews:
    """Return the network as it is in testing, for both views: nothing is trained."""
    views = frontend.read_for_inference(model_file, weights_file)
    frontend.check(views)
    check_statistics(views.test)
    _warn_of_passes(frontend)
    return views


def _warn_of_passes(frontend: Frontend) -> None:
    """Say which passes of plugins do not run: whoever has installed one expects its effect."""
    left_out = [each for each in registries().passes if each.frontend == frontend.name]
    if left_out:
        _log.warning(
            "passes of plugins run in quantization-aware training only; not in post-training "
            "quantization, as here: %s",
            ", ".join(f"'{each.name}' (plugin '{each.provider}')" for each in left_out),
        )


def fused(frontend: Frontend, graph: Graph, do_fusion: bool, skip: Tuple[str, ...]) -> Graph:
    """Return the network with what can be fused, unless ``do_fusion`` is false or it is skipped."""
    return frontend.rebuilt(fuse(graph, frozenset(skip)) if do_fusion else graph)


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
                observer_for(calibrator, parameters_of(activation, config.activation_offset), name)
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
