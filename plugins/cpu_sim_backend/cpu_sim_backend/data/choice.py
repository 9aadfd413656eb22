"""The data source that a command's options ask for."""

from __future__ import annotations

import os
from typing import Optional, Sequence

import attrs

from amct_core.errors import ConfigError, ModelError
from amct_core.file_names import fake_quant_files
from amct_core.graph.shapes import shapes_of_inputs
from amct_core.plugins import registries
from amct_core.saved_model import SavedModel
from amct_core.workflow import frontend_for
from cpu_sim_backend.data import preprocessing as preprocessings
from cpu_sim_backend.data.data_layers import DataLayerSource
from cpu_sim_backend.data.image_folder import ImageFolderSource
from cpu_sim_backend.data.npz import NpzSource
from cpu_sim_backend.data.source import DataSource


@attrs.frozen
class DataOptions:
    """What the user said about the data.

    Attributes:
        data: an ``.npz`` file or a folder of images; None: the network's own data layers.
        preprocess: a declaration for a folder of images.
        iterations: batches of the network's data layers.
    """

    data: Optional[str]
    preprocess: Optional[str] = None
    iterations: int = 0

    @property
    def is_folder(self) -> bool:
        """Whether the data are images in a folder."""
        return self.data is not None and os.path.isdir(self.data)


def open_source(
    saved: SavedModel,
    options: DataOptions,
    others: Sequence[str] = (),
) -> DataSource:
    """Return the data for a saved model.

    Args:
        saved: the model.
        options: what the user said.
        others: blobs of the network's data layers that are wanted beside its inputs.

    Raises:
        AmctError: a file, folder or data layer cannot be used; the message names it.
    """
    if options.data is None:
        model_file = fake_quant_files(saved.save_path).model
        frontend = frontend_for(model_file, registries())
        wanted = (others,) if others else ()
        return DataLayerSource(frontend.network_data(saved.save_path, *wanted), options.iterations)
    if not options.is_folder:
        return NpzSource(options.data)
    assert options.preprocess is not None
    return _image_folder(saved, options.data, options.preprocess)


def _image_folder(saved: SavedModel, folder: str, declaration: str) -> DataSource:
    preprocessing = preprocessings.read(
        declaration, lambda blob: saved.frontend.image_transform(saved.save_path, blob)
    )
    graph = saved.read_structure()
    inputs = shapes_of_inputs(graph)
    blob = preprocessing.input
    if blob is None and len(inputs) == 1:
        (blob,) = inputs
    if blob not in inputs:
        found = "it is missing" if blob is None else f"it is '{blob}'"
        raise ConfigError(
            f"{found}; the network's inputs: {', '.join(inputs)}.",
            file=declaration,
            field="input",
            remedy="Name one of them.",
        )
    if len(inputs) > 1:
        raise ModelError(
            f"it has the inputs {', '.join(inputs)}; images are data for one of them only.",
            file=graph.file,
            remedy="Give an .npz file with one array per input.",
        )
    return ImageFolderSource(folder, preprocessing, blob, inputs[blob][1:])
