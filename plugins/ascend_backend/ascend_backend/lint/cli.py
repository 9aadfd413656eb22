"""``amct lint``: find out before ATC does."""

from __future__ import annotations

import sys
from typing import Optional, Tuple

import click

from amct_core.cli.output import json_option, print_json
from amct_core.errors import AmctError
from amct_core.file_names import deploy_files


@click.command("lint")
@click.argument("prefix", required=False)
@click.option(
    "--model", "model_file", help="The prototxt, in place of PREFIX_deploy_model.prototxt."
)
@click.option(
    "--weights",
    "weights_file",
    help="The caffemodel, in place of PREFIX_deploy_weights.caffemodel.",
)
@click.option("--soc-version", help="The processor the model is for, such as Ascend310P3.")
@click.option("--op-name-map", metavar="FILE", help="The file that ATC is given as --op_name_map.")
@click.option(
    "--custom-op",
    "custom_ops",
    metavar="TYPE",
    multiple=True,
    help="A layer type for which you have installed a custom operator; may be repeated.",
)
@click.option("--explain", metavar="ID", help="Print the explanation of a rule, such as A001.")
@json_option
def command(
    prefix: Optional[str],
    model_file: Optional[str],
    weights_file: Optional[str],
    soc_version: Optional[str],
    op_name_map: Optional[str],
    custom_ops: Tuple[str, ...],
    explain: Optional[str],
    as_json: bool,
) -> None:
    """Find every reason for which ATC refuses the model saved as PREFIX, or changes it.

    Any Caffe model will do: give --model and --weights.  The exit status is 1 if there are errors,
    or if a rule of a plugin fails, and 0 if there are only warnings.
    """
    from rich.console import Console

    from ascend_backend.lint import find, find_by_plugins, read_model, with_type_names
    from ascend_backend.lint.others import require_caffe
    from ascend_backend.lint.report import as_json as document
    from ascend_backend.lint.report import count, print_report
    from ascend_backend.lint.rule import ERROR
    from ascend_backend.lint.rules import rule
    from ascend_backend.op_name_map import OpNameMap
    from ascend_backend.targets import find_target

    try:
        if explain is not None:
            click.echo(rule(explain).page(), nl=False)
            return
        target = None if soc_version is None else find_target(soc_version)
    except AmctError as error:
        raise click.UsageError(str(error)) from error
    files = _files(prefix, model_file, weights_file)
    require_caffe(None if model_file is not None else prefix, files[0])
    model = read_model(*files, target)
    by_plugins = find_by_plugins(model)
    if op_name_map is not None:
        model = with_type_names(model, OpNameMap.read(op_name_map))
    findings = (*find(model, custom_ops), *by_plugins.findings)
    if as_json:
        print_json(document(model, findings, by_plugins.not_checked))
    else:
        print_report(findings, Console(), by_plugins.not_checked)
    by_plugins.require_all()
    sys.exit(1 if count(findings, ERROR) else 0)


def _files(
    prefix: Optional[str], model_file: Optional[str], weights_file: Optional[str]
) -> Tuple[str, str]:
    if prefix is None and (model_file is None or weights_file is None):
        raise click.UsageError("Give PREFIX, or both --model and --weights.")
    saved = deploy_files(str(prefix))
    return model_file or saved.model, weights_file or saved.weights
