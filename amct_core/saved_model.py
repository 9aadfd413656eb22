"""A deployable model on the disk, and who reads it back.

The backend that has written a model reads it, where it can; else the frontend reads the files that
have the usual names.
"""

from __future__ import annotations

import os
from typing import Any, List, Optional

import attrs

from amct_core.contracts.usage import Usage, shown
from amct_core.errors import ConfigError
from amct_core.extensions import DeployBackend, Frontend
from amct_core.file_names import ModelFiles, deploy_files, fake_quant_files, name_map_file
from amct_core.graph import Graph
from amct_core.plugins import Registries
from amct_core.watched_frontend import with_declared_types
from amct_core.workflow import frontend_for


@attrs.frozen(eq=False)
class SavedModel:
    """The deployable model of one save path.

    Attributes:
        save_path: folder and prefix.
        files: prototxt and weights; used where no backend reads the model.
        plugins: who can read it.
        backend: reads it; None: the frontend does.
    """

    save_path: str
    files: ModelFiles
    plugins: Registries = attrs.field(repr=False)
    backend: Optional[DeployBackend] = None

    @property
    def frontend(self) -> Frontend:
        """The frontend that knows the network.

        Raises:
            ModelError: neither a prototxt nor a fake-quant model is there, or no frontend knows it.
        """
        return self.frontend_beside(None)

    def frontend_beside(self, float_model: Optional[str]) -> Frontend:
        """Return the frontend that knows the network.

        Args:
            float_model: file of the float network, by which the frontend is known where a backend
                alone has written the model; None: it is not given.

        Raises:
            ModelError: no file of a framework is there, or no frontend knows it.
        """
        model = self.files.model
        if self.backend is not None and not os.path.isfile(model):
            fake_quant = fake_quant_files(self.save_path).model
            model = fake_quant if float_model is None or os.path.isfile(fake_quant) else float_model
        return frontend_for(model, self.plugins)

    @property
    def is_backends_alone(self) -> bool:
        """Whether a backend reads it, and nothing of a framework is saved beside it."""
        files = (self.files.model, fake_quant_files(self.save_path).model)
        return self.backend is not None and not any(map(os.path.isfile, files))

    def unknown_float(self, otherwise: str, remedy: str) -> ConfigError:
        """Return the error that it does not tell of which float model it was made.

        Args:
            otherwise: what is wrong if a file that tells it is expected.
            remedy: what to do.
        """
        name_map = name_map_file(self.save_path)
        if self.backend is None or os.path.isfile(name_map):
            return ConfigError(otherwise, file=name_map, remedy=remedy)
        return ConfigError(
            f"the deploy backend '{self.backend.name}' does not note of which float32 model it "
            "has written a quantized one.",
            file=self.save_path,
            remedy=remedy,
        )

    def read(self) -> Graph:
        """Return the graph, with Quant, integer layers and DeQuant, as it is fed with arrays.

        Raises:
            AmctError: a file cannot be read.
            PluginError: the backend failed, or gave something else than a graph.
        """
        if self.backend is None:
            return frontend_for(self.files.model, self.plugins).read_deployed(*self.files)
        usage = Usage(self.backend)
        with usage.running("read", tells_itself=True):
            graph: Any = None if self.backend.read is None else self.backend.read(self.save_path)
        if not isinstance(graph, Graph):
            raise usage.error(f"read returned {shown(graph)}; expected a Graph.")
        return with_declared_types(graph, self.plugins)

    def read_structure(self) -> Graph:
        """Return the graph, with weights only where reading cannot leave them out."""
        if self.backend is None:
            return frontend_for(self.files.model, self.plugins).read_deployed(self.files.model)
        return self.read()

    def check_set(self) -> None:
        """Raise a ModelError if its files were not saved together, as far as that is known."""
        if self.backend is None:
            frontend_for(self.files.model, self.plugins).check_saved_set(*self.files)
        elif self.backend.check_set is not None:
            with Usage(self.backend).running("check_set", tells_itself=True):
                self.backend.check_set(self.save_path)


def saved_model(
    save_path: str,
    plugins: Registries,
    model_file: Optional[str] = None,
    backend: Optional[str] = None,
) -> SavedModel:
    """Return the deployable model that is saved under ``save_path``.

    Args:
        save_path: folder and prefix.
        plugins: who can read it.
        model_file: another prototxt for its weights, such as one edited by hand.
        backend: the deploy backend that has written it; None: the one that recognises it.

    Raises:
        ConfigError: the backend reads no models, or models of several backends are there.
        PluginError: there is no such backend, or one failed.
    """
    files = deploy_files(save_path, model_file)
    if backend is not None:
        named = plugins.deploy_backends.get(backend)
        if model_file is not None:
            raise ConfigError(
                f"it is '{backend}', and a prototxt of its own is given, too.",
                field="backend",
                remedy="Give one of the two.",
            )
        if named.read is None:
            raise ConfigError(
                f"'{backend}' writes models, and does not read them back; backends that do: "
                f"{', '.join(each.name for each in _readers(plugins)) or 'none'}.",
                field="backend",
                remedy="Save the model with one of these as well.",
            )
        return SavedModel(save_path, files, plugins, named)
    found = [] if model_file is not None else _recognised(save_path, plugins)
    if len(found) > 1:
        raise ConfigError(
            f"models of several backends are saved under '{save_path}': "
            f"{', '.join(each.name for each in found)}.",
            field="backend",
            remedy="Name one with --backend, or save each under a prefix of its own.",
        )
    return SavedModel(save_path, files, plugins, found[0] if found else None)


def _readers(plugins: Registries) -> List[DeployBackend]:
    return [each for each in plugins.deploy_backends if each.read is not None]


def _recognised(save_path: str, plugins: Registries) -> List[DeployBackend]:
    """Return the backends whose models are there; of several that read alike, the first."""
    found: List[DeployBackend] = []
    for each in _readers(plugins):
        if each.recognises is None or any(each.read is other.read for other in found):
            continue
        with Usage(each).running("recognises", tells_itself=True):
            if each.recognises(save_path):
                found.append(each)
    return found
