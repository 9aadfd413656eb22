"""``amct atc``: from a deployable model to an ``.om``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional, Tuple

import click

from amct_core.file_names import deploy_files, name_map_file
from ascend_backend.atc.command import Conversion
from ascend_backend.atc.find import Atc

if TYPE_CHECKING:
    from ascend_backend.op_name_map import OpNameMap


@click.command("atc")
@click.argument("prefix")
@click.option(
    "--model", "model_file", help="The prototxt, in place of PREFIX_deploy_model.prototxt."
)
@click.option("--soc-version", required=True, help="The processor, such as Ascend310P3.")
@click.option(
    "--input-shape",
    default="",
    help='Such as "data:1,3,224,224"; several separated by ";".  Default: as in the prototxt.',
)
@click.option(
    "--op-name-map", metavar="FILE", help="Layer types that atc takes for others, one 'A:B' a line."
)
@click.option("-o", "--output", help="The .om to make.  Default: PREFIX.om.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds after which atc is stopped.  Default: never.",
)
@click.option("--log", "log_file", help="Keeps what atc writes.  Default: beside the .om.")
@click.option(
    "--custom-op",
    "custom_ops",
    metavar="TYPE",
    multiple=True,
    help="A layer type for which you have installed a custom operator; may be repeated.",
)
@click.option("--no-lint", is_flag=True, help="Run atc even where 'amct lint' expects a refusal.")
@click.argument("extra", nargs=-1, type=click.UNPROCESSED)
def command(
    prefix: str,
    model_file: Optional[str],
    soc_version: str,
    input_shape: str,
    op_name_map: Optional[str],
    output: Optional[str],
    timeout: Optional[float],
    log_file: Optional[str],
    custom_ops: Tuple[str, ...],
    no_lint: bool,
    extra: Tuple[str, ...],
) -> None:
    """Convert the deployable model saved as PREFIX with ATC; options for atc itself go behind '--'.

    On a machine without atc, PREFIX_atc_bundle.tar.gz is written, to be taken to one that has it,
    and the command to run there is printed; the exit status is 0 then, too.  Else the only result
    on standard output is the path of the .om; what atc writes goes to standard error.

    Data, loss and accuracy layers of a model in AMCT's layout are taken out of what atc is given.
    """
    from ascend_backend.atc.cautions import cautions
    from ascend_backend.atc.command import check, check_input_names
    from ascend_backend.atc.convert import SUFFIX
    from ascend_backend.atc.find import find_atc
    from ascend_backend.atc.inference import without_training_layers
    from ascend_backend.op_name_map import OpNameMap

    output = output or prefix
    conversion = Conversion(
        *deploy_files(prefix, model_file),
        output=output[: -len(SUFFIX)] if output.endswith(SUFFIX) else output,
        soc_version=soc_version,
        input_shape=input_shape,
        extra=extra,
        op_name_map=op_name_map or "",
    )
    check(conversion)
    op_names = None if op_name_map is None else OpNameMap.read(op_name_map)
    for caution in cautions(conversion):
        click.echo(f"Warning: {caution}", err=True)
    with without_training_layers(conversion) as for_atc:
        check_input_names(conversion, for_atc.inputs)
        if for_atc.taken_out:
            names = ", ".join(f"'{name}'" for name in for_atc.taken_out)
            click.echo(f"Not given to atc, because only training needs them: {names}", err=True)
        if not no_lint:
            _lint(for_atc.conversion, op_names, custom_ops)
        atc = find_atc(os.environ)
        if atc is None:
            _bundle(for_atc.conversion, prefix)
        else:
            log = log_file or f"{conversion.output}.atc.log"
            _convert(for_atc.conversion, atc, log, timeout)


def _lint(
    conversion: Conversion, op_names: Optional[OpNameMap], custom_ops: Tuple[str, ...]
) -> None:
    """Show what ``amct lint`` finds, and stop if it is an error."""
    from rich.console import Console

    from amct_core.errors import ModelError
    from ascend_backend.lint import ERROR, lint
    from ascend_backend.lint.report import count, print_report
    from ascend_backend.targets import find_target

    target = find_target(conversion.soc_version)
    findings = lint(conversion.model, conversion.weights, target, op_names, custom_ops)
    if findings:
        print_report(findings, Console(stderr=True))
    errors = count(findings, ERROR)
    if errors:
        raise ModelError(
            f"found {errors} reasons for which atc would refuse the model or make something else "
            "of it.",
            file=conversion.model,
            remedy="Mend what is listed above, or pass --no-lint to try nevertheless.",
        )


def _convert(conversion: Conversion, atc: Atc, log_file: str, timeout: Optional[float]) -> None:
    from ascend_backend.atc.convert import convert

    click.echo(f"Running {atc.path} (found by {atc.origin}); log: {log_file}", err=True)
    made = convert(
        conversion, atc, log_file, lambda line: click.echo(line, nl=False, err=True), timeout
    )
    click.echo(made)


def _bundle(conversion: Conversion, prefix: str) -> None:
    from ascend_backend.atc.bundle import SCRIPT, write_bundle

    path = f"{prefix}_atc_bundle.tar.gz"
    bundle = write_bundle(conversion, name_map_file(prefix), path)
    name = os.path.basename(path)
    click.echo(
        "atc was not found: neither on PATH, nor below ASCEND_TOOLKIT_HOME, ASCEND_HOME_PATH or "
        "the usual folders.  Nothing has been converted.",
        err=True,
    )
    for left_out in bundle.left_out:
        click.echo(f"Take this file along, too, and correct its path: {left_out}", err=True)
    click.echo(f"Wrote {path}.  On the machine that has atc:", err=True)
    click.echo(f"tar xzf {name} && sh {name.split('.tar')[0]}/{SCRIPT}", err=True)
    click.echo("which checks the files and runs", err=True)
    click.echo(bundle.command)
