"""What the commands print that have written a config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from amct_core.cli.output import counted, print_json, print_names, print_sentence

if TYPE_CHECKING:
    from amct_core.config.advice import NotApplied
    from amct_core.differences import Comparison
    from amct_core.workflow import ConfigReport


def print_report(
    config_file: str,
    report: ConfigReport[Any],
    as_json: bool,
    not_applied: tuple[NotApplied, ...] = (),
) -> None:
    """Print what can be quantized, why the rest cannot, what was changed, and where the config is.

    Layers of which the same is said stand together.

    Args:
        config_file: what was written.
        report: on it.
        as_json: print JSON.
        not_applied: advice that is not applied, with the reason.
    """
    changes = _changes(report)
    if as_json:
        print_json(_document(config_file, report, changes, not_applied))
        return
    from amct_core.workflow import by_reason

    count = len(report.quantizable)
    click.echo(f"{counted(count, 'layer')} can be quantized:")
    print_names(report.quantizable)
    for reason, names in by_reason(report.unsupported).items():
        print_sentence(f"{counted(len(names), 'layer')} left out: {reason}")
        print_names(names)
    if changes is not None:
        _print_changes(report, changes, not_applied)
    click.echo(config_file)


def _print_changes(
    report: ConfigReport[Any], changes: Comparison, not_applied: tuple[NotApplied, ...]
) -> None:
    from amct_core.cli.comparison import print_comparison

    click.echo("Changed:" if not changes.equal else "Changed: nothing, all of it was so before.")
    print_comparison(changes)
    if not_applied:
        click.echo("Not applied:")
        for each in not_applied:
            print_sentence(str(each), indent="    ")
    quantizable = counted(len(report.quantizable), "layer")
    click.echo(f"Quantized: {len(report.config.enabled)} of {quantizable}.")


def _changes(report: ConfigReport[Any]) -> Comparison | None:
    """Return what the user's changes have changed; None where there were none."""
    if report.before is None:
        return None
    from amct_core.config.model import QatConfig
    from amct_core.differences import compare, flat_ptq, flat_qat

    if isinstance(report.config, QatConfig):
        return compare(flat_qat(report.before), flat_qat(report.config))
    return compare(flat_ptq(report.before), flat_ptq(report.config))


def _document(
    config_file: str,
    report: ConfigReport[Any],
    changes: Comparison | None,
    not_applied: tuple[NotApplied, ...],
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "config": config_file,
        "quantizable": list(report.quantizable),
        "not_quantizable": dict(report.unsupported),
    }
    if changes is not None:
        document["quantized"] = list(report.config.enabled)
        document["changed"] = {
            key: value for key, value in changes.as_json().items() if key in ("whole", "layers")
        }
        document["not_applied"] = [each.as_json() for each in not_applied]
    return document
