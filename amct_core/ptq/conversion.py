"""Both models from a network and a record of the user's own, without calibration."""

from __future__ import annotations

from typing import Mapping, Optional, Tuple

import attrs

from amct_core import record as records
from amct_core.deploy_choice import COMMANDS_DEFAULT, DeployChoice, deploy_choice
from amct_core.distinct_files import check_distinct
from amct_core.errors import RecordError
from amct_core.extensions import WeightAlgorithm
from amct_core.float_model import FloatModel
from amct_core.graph import Graph
from amct_core.input_shapes import InputShapes
from amct_core.plugins import registries
from amct_core.ptq.from_record import has_factors, quantized_model
from amct_core.ptq.matching import warn_of_misfits
from amct_core.ptq.opening import fused, inference_views
from amct_core.ptq.saving import with_shapes_of_inputs, write_models
from amct_core.quantizable import QuantizableLayers, find_quantizable
from amct_core.record import Record
from amct_core.workflow import frontend_for

_DEFAULT_WEIGHT_ALGORITHM = "arq_retrain"


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
    views = inference_views(frontend, model_file, weights_file)
    _check_layers(record, views.test, find_quantizable(views), model_file, record_file)
    unfused = tuple(name for name, entry in record.layers.items() if entry.skip_fusion)
    graph = fused(frontend, views.test, True, unfused)
    algorithm = plugins.weight_algorithms.get(_DEFAULT_WEIGHT_ALGORITHM)
    algorithms: Mapping[str, WeightAlgorithm] = dict.fromkeys(record, algorithm)
    model = quantized_model(graph, record, algorithms, record_file)
    warn_of_misfits(record, graph, record_file)
    choice = deploy_choice(backend, None, None, default_backend)
    made_from = (model_file, weights_file)
    model = attrs.evolve(model, made_from=made_from, float_model=FloatModel.of(*made_from))
    model = with_shapes_of_inputs(model, frontend, input_shapes or {}, {})
    return write_models(model, frontend, "Both", save_path, choice)


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
