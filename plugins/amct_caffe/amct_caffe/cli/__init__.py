"""The sub-commands of ``amct`` that train in Caffe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Tuple

from amct_core.extensions import CliCommand

if TYPE_CHECKING:
    import click


def _train() -> click.Command:
    from amct_caffe.cli.train import command

    return command


def _run() -> click.Command:
    from amct_caffe.cli.run import command

    return command


def _demo() -> click.Command:
    from amct_caffe.cli.demo import command

    return command


COMMANDS: Tuple[CliCommand, ...] = (
    # It opens its log itself: of several processes under mpiexec, one keeps it.
    CliCommand(
        name="qat train",
        help="Train a modified model in Caffe.",
        load=_train,
        writes_log=False,
        runs_framework=True,
    ),
    CliCommand(
        name="qat run",
        help="Config, insert, train and save in turn.",
        load=_run,
        runs_framework=True,
    ),
    CliCommand(
        name="demo",
        help="The whole workflow on a small network, in a minute.",
        load=_demo,
        runs_framework=True,
    ),
)
