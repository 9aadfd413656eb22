"""``amct doctor``: does this machine have what the whole workflow needs?"""

from __future__ import annotations

import attrs
import click

from amct_core.cli.checks import Check, all_checks
from amct_core.cli.output import json_option, print_columns, print_json


@click.command("doctor")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Check that this machine has what the whole workflow needs.

    The exit status is 0 if it does, 1 otherwise; each line that fails says what to do.
    """
    checks = all_checks()
    good = all(check.good for check in checks)
    if as_json:
        print_json({"ok": good, "checks": [attrs.asdict(check) for check in checks]})
    else:
        _print(checks)
    if not good:
        ctx.exit(1)


def _print(checks: tuple[Check, ...]) -> None:
    print_columns([("ok" if check.good else "FAIL", check.name, check.found) for check in checks])
    failed = [check for check in checks if not check.good]
    if failed:
        click.echo("\nWhat to do:")
        print_columns([(check.name, check.remedy) for check in failed], indent="  ")
