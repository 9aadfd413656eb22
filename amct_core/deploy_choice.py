"""Which deploy backend writes the deployable model, and who has decided that.

Precedence: what a call or an option names, then ``deploy_backend`` of the config, then the default
of the entrance that is used: AMCT's own layout from its Python API, what ATC takes from our
commands.
"""

from __future__ import annotations

from typing import Optional

import attrs

from amct_core.config.model import QatConfig


@attrs.frozen
class DeployChoice:
    """A deploy backend.

    Attributes:
        name: as it is registered.
        reason: who has chosen it, in words, for the log.
    """

    name: str
    reason: str


COMMANDS_DEFAULT = DeployChoice("ascend", "the default of the commands")
API_DEFAULT = DeployChoice(
    "amct", 'the default of the Python API; deploy_backend="ascend" writes what ATC takes'
)


def deploy_choice(
    named: Optional[str],
    config: Optional[QatConfig],
    config_file: Optional[str],
    default: DeployChoice,
) -> DeployChoice:
    """Return the backend to use.

    Args:
        named: by the call or the option; None: by neither.
        config: the config, where there is one.
        config_file: where it comes from.
        default: of the entrance.
    """
    if named is not None:
        return DeployChoice(named, "as it was asked for")
    if config is not None and config.deploy_backend is not None:
        return DeployChoice(config.deploy_backend, f"as '{config_file}' says")
    return default
