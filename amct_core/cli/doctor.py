"""``amct doctor``: what can this machine be used for, and what is missing?"""

from __future__ import annotations

import itertools

import attrs
import click

from amct_core.cli.checks import Check, all_checks, check_frameworks
from amct_core.cli.installing import ABOUT_FOLDER, FOLDER
from amct_core.cli.output import json_option, print_columns, print_json, print_names, print_sentence
from amct_core.cli.purposes import EVERY, PURPOSES, Verdict, judge
from amct_core.errors import PluginError
from amct_core.extensions.capability import Capability
from amct_core.plugins import registries

_MOST_IN_A_ROW = 8


@click.command("doctor")
@click.option(
    "--for",
    "names",
    multiple=True,
    type=click.Choice([purpose.name for purpose in PURPOSES]),
    help="Ask for this purpose alone, and fail if it is not served; may be repeated.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Say what this machine can be used for, what is missing, and how to get it.

    The exit status is 0 if one purpose at least is served, or each that --for names; 1 otherwise.
    Behind the purposes stands what was looked at, and what the installed framework can do; each of
    that is tried in a process of its own.
    """
    asked = tuple(each for each in PURPOSES if not names or each.name in names)
    frameworks = capabilities_by_frontend() if any(each.runs_framework for each in asked) else {}
    checks = (*all_checks(), *check_frameworks(frameworks))
    if names:
        checks = tuple(check for check in checks if any(each.uses(check.name) for each in asked))
    capabilities = tuple(itertools.chain.from_iterable(frameworks.values()))
    verdicts = tuple(judge(purpose, checks) for purpose in asked)
    good = (all if names else any)(verdict.works for verdict in verdicts)
    if as_json:
        print_json(
            {
                "ok": good,
                "purposes": [_as_document(verdict) for verdict in verdicts],
                "checks": [attrs.asdict(check) for check in checks],
                "capabilities": [attrs.asdict(capability) for capability in capabilities],
            }
        )
    else:
        _print_checks(checks)
        _print_purposes(verdicts)
        _print_remedies(checks, verdicts)
        _print_capabilities(capabilities)
    if not good:
        ctx.exit(1)


def _as_document(verdict: Verdict) -> dict[str, object]:
    return {
        "name": verdict.purpose.name,
        "what": verdict.purpose.what,
        "works": verdict.works,
        "missing": [check.name for check in verdict.missing],
        "remedies": list(verdict.remedies()),
    }


def _print_checks(checks: tuple[Check, ...]) -> None:
    print_columns([(_state(check), check.name, check.found) for check in checks])


def _state(check: Check) -> str:
    if check.good:
        return "ok"
    return "--" if check.absent else "FAIL"


def _print_purposes(verdicts: tuple[Verdict, ...]) -> None:
    click.echo()
    print_sentence("What this machine can do:")
    rows = []
    for verdict in verdicts:
        missing = ", ".join(check.name for check in verdict.missing)
        state = "yes" if verdict.works else "no"
        what = verdict.purpose.what + (f"; missing: {missing}" if missing else "")
        rows.append((state, verdict.purpose.name, what))
    print_columns(rows, indent="  ")


def _print_remedies(checks: tuple[Check, ...], verdicts: tuple[Verdict, ...]) -> None:
    """Say once what concerns every purpose or none, and then what each purpose needs besides."""
    purposes = [verdict.purpose for verdict in verdicts]
    general = {
        check.name: check.remedy
        for check in checks
        if not check.good
        and (check.name in EVERY or not any(each.uses(check.name) for each in purposes))
    }
    served: dict[str, list[str]] = {}
    for verdict in verdicts:
        rest = tuple(check for check in verdict.missing if check.name not in general)
        for remedy in Verdict(verdict.purpose, rest).remedies():
            served.setdefault(remedy, []).append(verdict.purpose.name)
    rows = list(general.items())
    rows += [(", ".join(names), remedy) for remedy, names in served.items()]
    if not rows:
        return
    click.echo("\nWhat to do:")
    print_columns(rows, indent="  ")
    if any(FOLDER in remedy for _, remedy in rows):
        print_sentence(ABOUT_FOLDER)


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
