"""A deploy backend and a command."""

from __future__ import annotations

from collections.abc import Iterable

import click

from amct_core.extensions import CliCommand, DeployBackend
from amct_core.file_names import file_under
from amct_core.files import FileSet
from amct_core.hookspecs import hookimpl
from amct_core.quantized_model import QuantizedModel


def write(model: QuantizedModel, save_path: str, files: FileSet) -> None:
    lines = [f"{layer.name} {layer.quant_scale} {layer.offset}" for layer in model.layers]
    files.add(file_under(save_path, "factors.txt"), "\n".join(lines))


@click.command()
def hello() -> None:
    click.echo("hello")


@hookimpl
def amct_deploy_backends() -> Iterable[DeployBackend]:
    return [DeployBackend(name="text", description="factors as text", write=write)]


@hookimpl
def amct_cli_commands() -> Iterable[CliCommand]:
    yield CliCommand("hello", "Greet.", lambda: hello, writes_log=False)
