"""The hooks of amct-cpu-sim-backend.  Imported whenever ``amct`` starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable

from amct_core.extensions import CliCommand, LayerType
from amct_core.hookspecs import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def amct_layer_types() -> Iterable[LayerType]:
    """Register the rounding that stands in graphs of a processor."""
    from cpu_sim_backend.device.float16_layer import FLOAT16_LAYER

    return [FLOAT16_LAYER]


def _simulate() -> click.Command:
    from cpu_sim_backend.cli import simulate

    return simulate


def _verify() -> click.Command:
    from cpu_sim_backend.cli import verify

    return verify


def _evaluate() -> click.Command:
    from cpu_sim_backend.evaluation.command import command

    return command


def _ptq_calibrate() -> click.Command:
    from cpu_sim_backend.ptq.calibrate_command import command

    return command


def _ptq_run() -> click.Command:
    from cpu_sim_backend.ptq.run_command import command

    return command


def _ptq_auto() -> click.Command:
    from cpu_sim_backend.ptq.auto.command import command

    return command


def _report() -> click.Command:
    from cpu_sim_backend.reporting.command import command

    return command


@hookimpl
def amct_cli_commands() -> Iterable[CliCommand]:
    """Register the commands that run models in the simulator."""
    return [
        CliCommand(
            name="simulate",
            help="Run a deployable model in integers.",
            load=_simulate,
            runs_framework=True,
        ),
        CliCommand(
            name="verify",
            help="Prove that a saved model computes alike.",
            load=_verify,
            runs_framework=True,
        ),
        CliCommand(
            name="evaluate",
            help="Show float32, fake-quant and integer side by side.",
            load=_evaluate,
            runs_framework=True,
        ),
        CliCommand(
            name="report",
            help="Say which layers cost accuracy, and why.",
            load=_report,
            runs_framework=True,
        ),
        CliCommand(
            name="ptq calibrate",
            help="Find the factors of a model's activations.",
            load=_ptq_calibrate,
            runs_framework=True,
        ),
        CliCommand(
            name="ptq run",
            help="Config, calibrate and save in turn.",
            load=_ptq_run,
            runs_framework=True,
        ),
        CliCommand(
            name="ptq auto", help="Quantize within a limit of lost accuracy.", load=_ptq_auto
        ),
    ]
