"""The commands of the project's own plugins, by the distribution that brings them.

Whoever calls one that is not there is told what to install.
"""

from __future__ import annotations

import attrs

from amct_core.cli.installing import how_to_install, installed_version
from amct_core.errors import EnvironmentUnsuitableError
from amct_core.plugins import host, registries


@attrs.frozen
class Provider:
    """A distribution, the name of its plugin, and the commands that this registers."""

    distribution: str
    plugin: str
    commands: tuple[str, ...]


PROVIDERS = (
    Provider("amct-caffe", "caffe", ("demo", "qat run", "qat train")),
    Provider("amct-ascend-backend", "ascend", ("atc", "lint")),
    Provider(
        "amct-cpu-sim-backend",
        "cpu_sim",
        ("evaluate", "ptq auto", "ptq calibrate", "ptq run", "report", "simulate", "verify"),
    ),
)


def missing_command(name: str) -> EnvironmentUnsuitableError | None:
    """Return what to tell of a command that is not there; None if nobody is known to bring it."""
    for provider in PROVIDERS:
        if name in provider.commands:
            return _told(name, provider)
    return None


def _told(name: str, provider: Provider) -> EnvironmentUnsuitableError:
    comes_with = f"'amct {name}' comes with {provider.distribution}"
    if installed_version(provider.distribution) is None:
        return EnvironmentUnsuitableError(
            f"{comes_with}, which is not installed.",
            remedy=f"Run: {how_to_install(provider.distribution)}.",
        )
    left_out = registries().cli_commands.left_out.get(provider.plugin)
    reasons = [each.reason for each in host().failed if each.name == provider.plugin]
    if left_out is not None:
        reasons = [left_out.problem]
    why = reasons[0] if reasons else "it does not register the command; is it of another version?"
    return EnvironmentUnsuitableError(
        f"{comes_with}, which is installed, and whose plugin '{provider.plugin}' is of no use: "
        f"{why}",
        remedy="Run 'amct doctor' to see what is missing.",
    )
