"""The hooks of amct-ascend-backend.  Imported whenever ``amct`` starts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Iterable

from amct_core.extensions import CliCommand, DeployBackend, ProcessorFamily
from amct_core.file_names import deploy_files
from amct_core.hookspecs import hookimpl

if TYPE_CHECKING:
    import click

    from amct_core.files import FileSet
    from amct_core.graph import Graph
    from amct_core.quantized_model import QuantizedModel


def _write(model: QuantizedModel, save_path: str, files: FileSet) -> None:
    from ascend_backend.writer import write_deploy_model

    write_deploy_model(model, save_path, files)


def _write_with_training_layers(model: QuantizedModel, save_path: str, files: FileSet) -> None:
    from ascend_backend.writer import write_deploy_model

    write_deploy_model(model, save_path, files, keep_training_layers=True)


def _is_there(save_path: str) -> bool:
    return os.path.isfile(deploy_files(save_path).model)


def _read(save_path: str) -> Graph:
    from amct_core.plugins import registries
    from amct_core.workflow import frontend_for

    files = deploy_files(save_path)
    return frontend_for(files.model, registries()).read_deployed(*files)


def _check_set(save_path: str) -> None:
    from amct_core.plugins import registries
    from amct_core.workflow import frontend_for

    files = deploy_files(save_path)
    frontend_for(files.model, registries()).check_saved_set(*files)


@hookimpl
def amct_deploy_backends() -> Iterable[DeployBackend]:
    """Register the Caffe form that ATC converts to an ``.om``, ready for it or as AMCT has it."""
    return [
        DeployBackend(
            name="ascend",
            description="Caffe model with Quant and DeQuant layers, for ATC",
            write=_write,
            recognises=_is_there,
            read=_read,
            check_set=_check_set,
        ),
        DeployBackend(
            name="amct",
            description="the same with data, loss and accuracy layers left in, as AMCT writes it",
            write=_write_with_training_layers,
            recognises=_is_there,
            read=_read,
            check_set=_check_set,
        ),
        DeployBackend(
            name="ascend_with_training_layers",
            description="another name of 'amct'",
            write=_write_with_training_layers,
            recognises=_is_there,
            read=_read,
            check_set=_check_set,
        ),
    ]


def _lint() -> click.Command:
    from ascend_backend.lint.cli import command

    return command


def _atc() -> click.Command:
    from ascend_backend.atc.cli import command

    return command


@hookimpl
def amct_cli_commands() -> Iterable[CliCommand]:
    """The commands that look after a deployable model."""
    return [
        CliCommand(
            name="lint",
            help="Find every reason for which ATC refuses a model.",
            load=_lint,
            writes_log=False,
        ),
        CliCommand(name="atc", help="Convert a deployable model to an .om.", load=_atc),
    ]


@hookimpl
def amct_processor_families() -> Iterable[ProcessorFamily]:
    """Register the Ascend processors of the table of targets."""
    from ascend_backend.targets import families

    return families()
