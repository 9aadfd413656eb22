"""A deploy backend that writes a whole network, and reads it back: JSON and arrays.

``<save_path>_bundle.json`` holds the layers, Quant and DeQuant among them, and
``<save_path>_bundle.npz`` their arrays.  Because it reads its files, ``amct verify`` proves that
they compute what the fake-quant model does.
"""

from __future__ import annotations

import io
import json
import os
import zipfile

import numpy as np

from amct_core.errors import FileFormatError
from amct_core.extensions import DeployBackend
from amct_core.file_names import file_under
from amct_core.files import FileSet, read_text
from amct_core.graph import Graph
from amct_core.graph_document import arrays_of, as_document, from_document
from amct_core.quantized_graph import quantized_graph
from amct_core.quantized_model import QuantizedModel


def write(model: QuantizedModel, save_path: str, files: FileSet) -> None:
    """Stage both files."""
    graph = quantized_graph(model)
    files.add(_json_file(save_path), json.dumps(as_document(graph), indent=2) + "\n")
    stream = io.BytesIO()
    np.savez(stream, **arrays_of(graph))
    files.add(_npz_file(save_path), stream.getvalue())


def recognises(save_path: str) -> bool:
    """Return whether a bundle lies under ``save_path``."""
    return os.path.isfile(_json_file(save_path))


def read(save_path: str) -> Graph:
    """Return the network of a bundle.

    Raises:
        FileFormatError: a file is damaged, or is missing.
    """
    path = _json_file(save_path)
    try:
        document = json.loads(read_text(path))
        with np.load(_npz_file(save_path), allow_pickle=False) as arrays:
            return from_document(document, arrays, path)
    except FileFormatError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise FileFormatError(
            f"it is no bundle, or not that of '{_npz_file(save_path)}': {error}.",
            file=path,
            remedy="Save the model again.",
        ) from error


def _json_file(save_path: str) -> str:
    return file_under(save_path, "bundle.json")


def _npz_file(save_path: str) -> str:
    return file_under(save_path, "bundle.npz")


BACKEND = DeployBackend(
    name="json_bundle",
    description="the network as JSON, its integers as .npz",
    write=write,
    recognises=recognises,
    read=read,
    without_training_layers=True,  # data, loss and accuracy layers are none of a chip's
)
