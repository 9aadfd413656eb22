"""What the options of ``amct qat config`` change in a config: pure, without files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from amct_core.config.values import given

if TYPE_CHECKING:
    from amct_core.config.model import LayerConfig, QatConfig
    from amct_core.plugins import Registries


@attrs.frozen
class ConfigChoices:
    """Choices made on the command line; None leaves the config as it is.

    Attributes:
        activation_algo, init_algo: of every quantized layer.
        shift_n_algo, batch_num, batch_norm, deploy_backend: of the whole config.
    """

    activation_algo: str | None = None
    init_algo: str | None = None
    shift_n_algo: str | None = None
    batch_num: int | None = None
    batch_norm: str | None = None
    deploy_backend: str | None = None

    def check(self, plugins: Registries) -> None:
        """Look up each name.

        Raises:
            PluginError: there is nothing of this name; the message lists what there is.
        """
        for name, registry in (
            (self.activation_algo, "activation_algorithms"),
            (self.init_algo, "calibrators"),
            (self.shift_n_algo, "shift_searches"),
            (self.deploy_backend, "deploy_backends"),
        ):
            if name is not None:
                getattr(plugins, registry).get(name)

    def apply(self, config: QatConfig) -> QatConfig:
        """Return ``config`` with the choices made."""
        changes = given(
            shift_n_algo=self.shift_n_algo,
            batch_num=self.batch_num,
            batch_norm=self.batch_norm,
            deploy_backend=self.deploy_backend,
        )
        layers = {name: self._apply_to_layer(layer) for name, layer in config.layers.items()}
        return attrs.evolve(config, layers=layers, **changes)

    def _apply_to_layer(self, layer: LayerConfig) -> LayerConfig:
        changes = given(algo=self.activation_algo, init_algo=self.init_algo)
        return attrs.evolve(layer, activation=attrs.evolve(layer.activation, **changes))
