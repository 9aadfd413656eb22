"""``amct doctor``: does this machine have what the whole workflow needs?"""

from __future__ import annotations

import itertools

import attrs
import click

from amct_core.cli.checks import Check, all_checks, check_frameworks
from amct_core.cli.output import json_option, print_columns, print_json, print_names, print_sentence
from amct_core.errors import PluginError
from amct_core.extensions.capability import Capability
from amct_core.plugins import registries

_MOST_IN_A_ROW = 8


@click.command("doctor")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Check that this machine has what the whole workflow needs.

    The exit status is 0 if it does, 1 otherwise; each line that fails says what to do.  Behind them
    stands what the installed framework can do; each is tried in a process of its own.
    """
    frameworks = capabilities_by_frontend()
    checks = (*all_checks(), *check_frameworks(frameworks))
    capabilities = tuple(itertools.chain.from_iterable(frameworks.values()))
    good = all(check.good for check in checks)
    if as_json:
        print_json(
            {
                "ok": good,
                "checks": [attrs.asdict(check) for check in checks],
                "capabilities": [attrs.asdict(capability) for capability in capabilities],
            }
        )
    else:
        _print(checks)
        _print_capabilities(capabilities)
    if not good:
        ctx.exit(1)


def _print(checks: tuple[Check, ...]) -> None:
    print_columns([("ok" if check.good else "FAIL", check.name, check.found) for check in checks])
    failed = [check for check in checks if not check.good]
    if failed:
        click.echo("\nWhat to do:")
        print_columns([(check.name, check.remedy) for check in failed], indent="  ")


def capabilities_by_frontend() -> dict[str, tuple[Capability, ...]]:
    """Ask every frontend what its framework can do; none where plugins fail (the checks say so)."""
    try:
        frontends = registries().frontends
        return {name: tuple(frontends.get(name).capabilities()) for name in frontends.names()}
    except PluginError:
        return {}


def _print_capabilities(capabilities: tuple[Capability, ...]) -> None:
    if not capabilities:
        return
    click.echo()
    print_sentence("What the installed framework can do (each tried in a process of its own):")
    rows = [(each.answer, each.question, _details(each)) for each in capabilities]
    print_columns(rows, indent="  ")
    for each in capabilities:
        if _is_long(each):
            click.echo()
            print_sentence(each.question)
            print_names(each.found, most_lines=None)


def _details(capability: Capability) -> str:
    if _is_long(capability):
        return f"{len(capability.found)}, named below"
    return ", ".join(capability.found) or capability.sentence


def _is_long(capability: Capability) -> bool:
    return len(capability.found) > _MOST_IN_A_ROW
