"""What the commands print that have written a config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from amct_core.cli.output import print_columns, print_json

if TYPE_CHECKING:
    from amct_core.workflow import ConfigReport


def print_report(config_file: str, report: ConfigReport[Any], as_json: bool) -> None:
    """Print what can be quantized, why the rest cannot, and where the config is."""
    if as_json:
        print_json(
            {
                "config": config_file,
                "quantizable": list(report.quantizable),
                "not_quantizable": dict(report.unsupported),
            }
        )
        return
    rows = [(name, "quantizable") for name in report.quantizable]
    rows += [(name, f"left out: {reason}") for name, reason in report.unsupported.items()]
    print_columns(rows)
    click.echo(config_file)
