"""``amct qat diff``: what two configs or two records say differently."""

from __future__ import annotations

import click

from amct_core.cli.output import counted, json_option, print_json, print_names
from amct_core.errors import AmctError

DIFFERENT = 1
"""The exit status of diff(1) where something differs."""


class Trouble(click.ClickException):
    """Files cannot be compared: status 2, as of diff(1), where 1 says that they differ."""

    exit_code = 2


@click.command("diff")
@click.argument("first")
@click.argument("second")
@json_option
@click.pass_context
def command(ctx: click.Context, first: str, second: str, as_json: bool) -> None:
    """Show what two configs, or two records, say differently.

    FIRST and SECOND are two QAT configs, two PTQ configs or two records; what they hold says which.
    A value that a config does not mention counts as the default.  Layers with the same differences
    stand together.

    The exit status is 0 if nothing differs, 1 if something does, 2 if they cannot be compared.
    """
    from amct_core.cli.comparison import print_comparison
    from amct_core.differences import compare, read_flat

    try:
        one, other = read_flat(first), read_flat(second)
    except AmctError as error:
        raise Trouble(str(error)) from error
    if one.kind != other.kind:
        kinds = f"{first} is a {one.kind}, {second} a {other.kind}"
        raise Trouble(f"{kinds}; expected two of one kind.")
    found = compare(one, other)
    if as_json:
        print_json(found.as_json())
    else:
        for path, names in ((first, found.only_in_first), (second, found.only_in_second)):
            if names:
                click.echo(f"only in {path} ({counted(len(names), 'layer')}):")
                print_names(names)
        print_comparison(found)
        differ = len(found.layers)
        click.echo(
            f"no difference in {counted(found.compared, 'layer')}"
            if found.equal
            else f"{differ} of the {counted(found.compared, 'layer')} in both differ"
        )
    if not found.equal:
        ctx.exit(DIFFERENT)
