"""Whether the ranks of a data-parallel run are fed with different samples.

What each of Caffe's data layers does when it is told of several solvers was found out in Caffe, and
a test holds it:

=============  ===================================================================================
Data (LMDB)    rank r of n gets samples r, r + n, r + 2 n, ... in TRAIN; in TEST all get the same
HDF5Data       as Data
ImageData      every rank reads the whole list; with ``shuffle: true`` each in an order of its own
Python         what its class does; it says so by a class attribute ``shards_by_rank = True``
DummyData      no samples: constants, or random values that differ between ranks
others         all ranks get the same
=============  ===================================================================================
"""

from __future__ import annotations

import importlib
from typing import Callable, Iterator, Optional

from amct_caffe.model.formats.prototxt.document import Layer, NetDocument
from amct_core.errors import ModelError, TrainingError

_NO_SAMPLES = ("DummyData", "Parameter")

_SAME_DATA = "Or say --same-data, if the ranks may see the same samples."

ClassOf = Callable[[str, str], type]


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
        if layer.bottoms or layer.type in _NO_SAMPLES:
            continue
        problem = _problem(layer, class_of)
        if problem is not None:
            raise TrainingError(
                f"{layer.type}: {problem}", file=document.file, layer=layer.name, remedy=_SAME_DATA
            )


def require_common_databases(document: NetDocument) -> None:
    """Raise a TrainingError if a Data layer's database can be opened by one process only."""
    for layer in document.layers:
        if layer.type != "Data":
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
        parameters = layer.parameters("batch_norm_param")
        if layer.type == "BatchNorm" and not parameters.boolean("use_global_stats", False):
            return layer.name
    return None


def _problem(layer: Layer, class_of: ClassOf) -> Optional[str]:
    if layer.type in ("Data", "HDF5Data"):
        return None
    if layer.type == "ImageData":
        if layer.parameters("image_data_param").boolean("shuffle", False):
            return None
        return "every rank would read the same list in the same order. Set shuffle: true."
    if layer.type == "Python":
        python = layer.parameters("python_param")
        module, name = python.string("module") or "", python.string("layer") or ""
        if getattr(class_of(module, name), "shards_by_rank", False):
            return None
        return (
            f"class {name} of module {module} does not say that it gives each rank samples of "
            "its own. If it does (caffe.solver_rank() of caffe.solver_count()), set the class "
            "attribute shards_by_rank = True."
        )
    return "every rank would be fed with the same samples."
