"""What ``amct evaluate`` shows on the terminal."""

from __future__ import annotations

import math
from typing import List, Optional

import click

from amct_core.cli.output import print_columns
from cpu_sim_backend.evaluation.columns import FLOAT32
from cpu_sim_backend.evaluation.result import ColumnResult, Evaluation, OutputResult


def print_evaluation(found: Evaluation) -> None:
    """Print the columns as lines of a table, and below what each of them is."""
    labels = "no labels" if found.labels is None else f"labels: {found.labels}"
    if found.scores is not None and found.labels is not None:
        labels += f", scores: '{found.scores}'"
    click.echo(f"{found.samples} samples; {labels}")
    first = found.columns[0]
    heading = [
        "",
        *(f"top-{k}" for k, _ in first.right),
        *(name for name, _ in first.metrics),
        *(title for output in first.outputs for title in _titles(output, found.scores)),
    ]
    print_columns([heading, *(_row(column, found) for column in found.columns)])
    click.echo()
    print_columns([(column.name, column.description) for column in found.columns])
    for name, reason in found.left_out:
        click.echo(f"{name} is left out: {reason}.")
    if found.not_judged is not None:
        click.echo(f"no top-1: {found.not_judged}.")
    if found.labels is not None and found.judged != found.samples:
        click.echo(f"{found.samples - found.judged} samples have a label that does not count.")


def _shows_decisions(output: OutputResult, scores: Optional[str]) -> bool:
    """Return whether decisions are shown: once, where one blob is what decides."""
    return output.places > 0 and scores in (None, output.blob)


def _titles(output: OutputResult, scores: Optional[str]) -> List[str]:
    decisions = ["decides as float32" if scores is not None else f"decides '{output.blob}' alike"]
    shown = decisions if _shows_decisions(output, scores) else []
    return [*shown, f"SNR of '{output.blob}'"]


def _row(column: ColumnResult, found: Evaluation) -> List[str]:
    row = [column.name]
    row += [f"{_share(right, found.judged)} ({right})" for _, right in column.right]
    row += [f"{value:.6g}" for _, value in column.metrics]
    for output in column.outputs:
        is_reference = column.name == FLOAT32
        if _shows_decisions(output, found.scores):
            decided = f"{_share(output.same_decisions, output.places)} ({output.same_decisions})"
            row.append("-" if is_reference else decided)
        row.append("-" if is_reference else _snr(output.snr))
    return row


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3f} %" if whole else "-"


def _snr(value: float) -> str:
    if math.isnan(value):
        return "unknown"
    return "identical" if math.isinf(value) else f"{value:.2f} dB"
