"""Lets a deploy backend write a model."""

from __future__ import annotations

from amct_core.contracts.usage import Usage
from amct_core.extensions import DeployBackend, Frontend
from amct_core.files import FileSet
from amct_core.quantized_model import QuantizedModel


def stage_deployable(
    backend: DeployBackend,
    frontend: Frontend,
    model: QuantizedModel,
    save_path: str,
    files: FileSet,
) -> None:
    """Stage the files of a deployable model.

    Args:
        backend: writes them.
        frontend: of the network; takes training layers out where the backend asks for that.
        model: what is written.
        save_path: folder and prefix.
        files: where they are staged.

    Raises:
        AmctError: the backend, or the frontend, refuses the model.
        PluginError: the backend failed.
    """
    if backend.without_training_layers:
        model = frontend.without_training_layers(model)
    with Usage(backend).running("write", tells_itself=True):
        backend.write(model, save_path, files)
