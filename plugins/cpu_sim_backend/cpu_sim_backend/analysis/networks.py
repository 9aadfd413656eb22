"""The two networks that a report compares: read from files, or made before saving."""

from __future__ import annotations

import os
import tempfile
from typing import Mapping, Optional, Tuple

import attrs

from amct_core import record as records
from amct_core.deploy_choice import COMMANDS_DEFAULT
from amct_core.derive import derive_possible
from amct_core.errors import AmctError, QuantizationError
from amct_core.extensions import Frontend
from amct_core.files import FileSet
from amct_core.graph import Graph
from amct_core.plugins import registries
from amct_core.ptq.opening import reopen
from amct_core.ptq.saving import possibly_quantized, with_shapes_of_inputs
from amct_core.quantized_model import QuantizedModel
from amct_core.saved_model import SavedModel, saved_model
from amct_core.workflow import frontend_for

Pair = Tuple[str, str]
"""A network's file and that of its weights."""


@attrs.frozen(eq=False)
class Networks:
    """What is compared.

    Attributes:
        deployed: the integer network.
        original: the float network that it was made from, in testing.
        refused: why layers are in float that were to be quantized, by name.
        float_files: of the float network.
    """

    deployed: Graph
    original: Graph
    refused: Mapping[str, QuantizationError] = attrs.field(factory=dict)
    float_files: Tuple[str, ...] = ()


@attrs.frozen
class Unsaved:
    """What saving reads, for a model that is not saved, or cannot be.

    Attributes:
        model, weights: after training, the modified model and its snapshot; for post-training
            quantization, the original ones.
        record: None: the one that the modified model names.
        config: of post-training quantization; None: after training.
    """

    model: str
    weights: str
    record: Optional[str] = None
    config: Optional[str] = None


def float_pair(saved: SavedModel, given: Optional[Pair]) -> Pair:
    """Return the files of the float network that a saved model was made from.

    After training that is the modified model and its snapshot, whose weights were quantized; the
    model from before training would show what training has changed.

    Args:
        saved: the model.
        given: what the user gave; it counts more than what is known of the saved model.

    Raises:
        AmctError: nothing is known of it, or a file is gone or was changed.
    """
    if given is not None:
        return given
    alone = saved.is_backends_alone
    found = None if alone else saved.frontend.made_from(saved.save_path)
    if found is None:
        raise saved.unknown_float(
            "it does not tell what this model was saved from: an earlier version saved it.",
            "Give the pair that was quantized with --float MODEL WEIGHTS; after training, "
            "the modified model and its snapshot.",
        )
    found.check()
    return _from_here(found.model.path), _from_here(found.weights.path)


def _from_here(path: str) -> str:
    """Return ``path`` from the working folder on, if it lies below that."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative


def saved_networks(
    prefix: str, given: Optional[Pair], saved: Optional[SavedModel] = None
) -> Networks:
    """Return the networks of the model saved as ``prefix``; ``saved``, if that is found already.

    Raises:
        AmctError: a file cannot be read, or the float network is not known.
    """
    saved = saved or saved_model(prefix, registries())
    deployed = saved.read()
    saved.check_set()
    pair = float_pair(saved, given)
    return Networks(deployed, read_float(pair), float_files=pair)


def read_float(pair: Pair) -> Graph:
    """Return a float network as it is in testing."""
    return frontend_for(pair[0], registries()).read_float(*pair)


def unsaved_networks(
    unsaved: Unsaved, given: Optional[Pair], shapes: Mapping[str, Tuple[int, ...]]
) -> Networks:
    """Return the networks as saving would write them, with layers in float that it refuses.

    Nothing is written but files in a temporary folder.

    Args:
        unsaved: what saving reads.
        given: the float network; None: that of ``unsaved`` itself, with its trained weights.
        shapes: of the data by input blob, for inputs whose shape nothing else tells.

    Raises:
        AmctError: a file cannot be read, or no layer can be quantized.
    """
    frontend = frontend_for(unsaved.model, registries())
    model, refused = _derived(unsaved, frontend, shapes)
    if not model.layers:
        raise next(iter(refused.values()))
    pair = given or (unsaved.model, unsaved.weights)
    return Networks(_as_deployed(model), read_float(pair), refused, pair)


def _derived(
    unsaved: Unsaved, frontend: Frontend, shapes: Mapping[str, Tuple[int, ...]]
) -> Tuple[QuantizedModel, Mapping[str, QuantizationError]]:
    if unsaved.config is None:
        network = frontend.read_retrained(unsaved.model, unsaved.weights)
        record = records.read(unsaved.record or network.record_file)
        model, refused = derive_possible(network, record, registries())
        known = {**model.input_shapes, **network.input_shapes}
        return with_shapes_of_inputs(model, frontend, known, shapes), refused
    if unsaved.record is None:
        raise AmctError(
            "there is no record.", field="--record", remedy="Give that of the calibration."
        )
    opened = reopen(unsaved.config, unsaved.model, unsaved.weights, unsaved.record)
    model, refused = possibly_quantized(opened)
    model = attrs.evolve(model, graph=frontend.rebuilt(model.graph))
    return with_shapes_of_inputs(model, frontend, {}, shapes), refused


def _as_deployed(model: QuantizedModel) -> Graph:
    """Return what is read back after the model has been written."""
    backend = registries().deploy_backends.get(COMMANDS_DEFAULT.name)
    with tempfile.TemporaryDirectory(prefix="amct_report_") as folder:
        prefix = os.path.join(folder, "unsaved")
        with FileSet() as files:
            backend.write(model, prefix, files)
        return saved_model(prefix, registries(), backend=backend.name).read()
