"""What the options of ``amct qat config`` change in a config: pure, without files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from amct_core.plugins import Registries

_ALL = "type:*"
"""Every layer, even where one of them is called ``*``."""


@attrs.frozen
class ConfigChoices:
    """Choices made on the command line; None leaves the config as it is.

    Attributes:
        activation_algo, weight_algo, init_algo: of every quantized layer.
        shift_n_algo, batch_num, batch_norm, deploy_backend: of the whole config.
    """

    activation_algo: str | None = None
    init_algo: str | None = None
    weight_algo: str | None = None
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
            (self.weight_algo, "weight_algorithms"),
            (self.init_algo, "calibrators"),
            (self.shift_n_algo, "shift_searches"),
            (self.deploy_backend, "deploy_backends"),
        ):
            if name is not None:
                getattr(plugins, registry).get(name)

    def assignments(self) -> tuple[str, ...]:
        """Return what ``--set`` would say."""
        said = (
            (f"{_ALL}.retrain_data_config.algo", self.activation_algo),
            (f"{_ALL}.retrain_weight_config.algo", self.weight_algo),
            (f"{_ALL}.retrain_data_config.init_algo", self.init_algo),
            ("shift_n_algo", self.shift_n_algo),
            ("batch_num", self.batch_num),
            ("batch_norm", self.batch_norm),
            ("deploy_backend", self.deploy_backend),
        )
        return tuple(f"{key}={json.dumps(value)}" for key, value in said if value is not None)
