"""Whether the ranks of a data-parallel run are fed with different samples.

Each type that brings data in says so (:class:`amct_caffe.model.layer_types.data.DataSource`).
"""

from __future__ import annotations

import importlib
from typing import Iterator, Optional

from amct_caffe.model.formats.prototxt.document import NetDocument
from amct_caffe.model.layer_type import attributes_of, layer_type
from amct_caffe.model.layer_types.data import ClassOf, Database, DataSource
from amct_core.errors import ModelError, TrainingError
from amct_core.graph.attributes import BatchNorm

_SAME_DATA = "Or say --same-data, if the ranks may see the same samples."


def class_of(module: str, name: str) -> type:
    """Import the class of a Python layer, as Caffe is going to.

    Raises:
        ModelError: it cannot be imported.
    """
    try:
        found: type = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"class {name} of module {module} cannot be imported: {error}.",
            field="python_param",
            remedy="Put the folder of the module on PYTHONPATH.",
        ) from error
    return found


def require_shares(document: NetDocument, class_of: ClassOf = class_of) -> None:
    """Raise unless every data layer of the TRAIN phase gives each rank samples of its own.

    Args:
        document: the network.
        class_of: gives the class of a Python layer, from its module and its name.

    Raises:
        TrainingError: a layer does not, or needs a database that one process alone can open.
    """
    for layer in document.layers_in("TRAIN"):
        if layer.bottoms:
            continue
        problem = (layer_type(layer).data or DataSource()).shared(layer, class_of)
        if problem is not None:
            raise TrainingError(
                f"{layer.type}: {problem}", file=document.file, layer=layer.name, remedy=_SAME_DATA
            )


def require_common_databases(document: NetDocument) -> None:
    """Raise a TrainingError if a Data layer's database can be opened by one process only."""
    for layer in document.layers:
        if not isinstance(attributes_of(layer), Database):
            continue
        backend = layer.parameters("data_param").enum("backend") or "LEVELDB"
        if backend in ("LEVELDB", "0"):
            raise TrainingError(
                "the database is a LevelDB (Caffe's default), which only one process can open.",
                file=document.file,
                layer=layer.name,
                field="data_param.backend",
                remedy="Convert it to LMDB, and set backend: LMDB.",
            )


def unequal_losses(document: NetDocument) -> Iterator[str]:
    """Return warnings: losses whose mean over the ranks is not the loss of one large batch."""
    for layer in document.layers_in("TRAIN"):
        loss = layer.parameters("loss_param")
        if loss.enum("normalization") in ("NONE", "3"):
            yield (
                f"layer '{layer.name}': with normalization: NONE the loss is a sum over a rank's "
                "batch, and the mean over the ranks is not the sum over all of them: multiply "
                "loss_weight by the number of ranks to train as one process would"
            )
        elif loss.has("ignore_label"):
            yield (
                f"layer '{layer.name}': with ignore_label each rank divides by the number of its "
                "own valid labels, so the loss is not exactly that of one process"
            )


def trained_statistics(document: NetDocument) -> Optional[str]:
    """Return the name of a BatchNorm that follows the statistics of its batch, if there is one."""
    for layer in document.layers_in("TRAIN"):
        attributes = attributes_of(layer)
        if isinstance(attributes, BatchNorm) and not attributes.use_global_stats:
            return layer.name
    return None
