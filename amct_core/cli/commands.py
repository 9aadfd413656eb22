"""The commands of the core, described; what they import is imported when they are called."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from amct_core.extensions import CliCommand

if TYPE_CHECKING:
    import click


def _from(module: str) -> Callable[[], click.Command]:
    def load() -> click.Command:
        return cast("click.Command", importlib.import_module(f"amct_core.cli.{module}").command)

    return load


_DIFF = "Show what two configs or records say differently."

COMMANDS = (
    CliCommand(
        "doctor",
        "Say what this machine can do, and what is missing.",
        _from("doctor"),
        writes_log=False,
    ),
    CliCommand(
        "plugins",
        "List what the installed plugins provide.",
        _from("plugins"),
        writes_log=False,
    ),
    CliCommand("convert", "Quantize a model with the factors of a record.", _from("convert")),
    CliCommand("ptq config", "Write the config of what to quantize, and how.", _from("ptq_config")),
    CliCommand("ptq diff", _DIFF, _from("diff"), writes_log=False),
    CliCommand("ptq save", "Turn a calibrated model into its saved forms.", _from("ptq_save")),
    CliCommand("qat config", "Write the config of what to quantize, and how.", _from("qat_config")),
    CliCommand("qat diff", _DIFF, _from("diff"), writes_log=False),
    CliCommand("qat insert", "Put fake quantization into a model.", _from("qat_insert")),
    CliCommand("qat save", "Turn a trained model into its saved forms.", _from("qat_save")),
)
