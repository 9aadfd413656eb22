"""Where the data come from."""

from __future__ import annotations

import os
from typing import Iterator, Optional

from amct_caffe.checks.check import Violation
from amct_caffe.checks.training_setup import TrainingSetup
from amct_caffe.model.data_layers import files_of
from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.model.layer_type import attributes_of, layer_type
from amct_caffe.model.layer_types.data import Database, DataSource

_RUN_THERE = "Run in the folder that the network's paths start from, or correct it."
_BACKENDS = {"0": "LEVELDB", "1": "LMDB"}


def missing_sources(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield the first file of each field that is not there, and lists that are empty."""
    for layer in setup.layers():
        told = set()
        for field, path in files_of(layer):
            if not os.path.exists(path) and field not in told:
                told.add(field)
                yield Violation(
                    field,
                    f"there is no '{path}' (in '{os.getcwd()}').",
                    _RUN_THERE,
                    layer.name,
                    setup.document.file,
                )
        source = _source(layer)
        if not layer.bottoms and source and os.path.isfile(source) and not os.path.getsize(source):
            yield Violation(
                "source",
                f"the list '{source}' is empty.",
                "Write the names of the files into it, one on each line.",
                layer.name,
                setup.document.file,
            )


def wrong_backends(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield each database of another kind than the layer says."""
    for layer in setup.layers():
        if not isinstance(attributes_of(layer), Database):
            continue
        said = layer.parameters("data_param").enum("backend") or "LEVELDB"
        said = _BACKENDS.get(said, said)
        found = _kind_of_database(_source(layer) or "")
        if found is not None and found != said:
            yield Violation(
                "data_param.backend",
                f"'{_source(layer)}' is of the kind {found}, and would be opened as {said}"
                + (
                    ", Caffe's default."
                    if not layer.parameters("data_param").has("backend")
                    else "."
                ),
                f"Set backend: {found}.",
                layer.name,
                setup.document.file,
            )


def layers_without_data(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield each data layer that has to be fed by hand where nobody does it."""
    for phase in setup.phases:
        if phase == "TRAIN" and setup.is_fed_by_hand:
            continue
        for layer in setup.document.layers_in(phase):
            if (layer_type(layer).data or DataSource()).is_fed:
                yield Violation(
                    "type",
                    f"it is of type '{layer.type}' in the phase {phase}, which brings no data by "
                    "itself: Caffe ends the process.",
                    "Let a layer bring the data that reads them from files.",
                    layer.name,
                    setup.document.file,
                )


def _source(layer: Layer) -> Optional[str]:
    return layer.parameters(layer_type(layer).parameters).string("source")


def _kind_of_database(folder: str) -> Optional[str]:
    """Return what is in ``folder``, by the names of its files; None where that is not clear."""
    if os.path.isfile(os.path.join(folder, "data.mdb")):
        return "LMDB"
    if os.path.isfile(os.path.join(folder, "CURRENT")):
        return "LEVELDB"
    return None
