"""``amct ptq auto``."""

from __future__ import annotations

from typing import Any

import click

from amct_core.cli.output import json_option, print_json
from cpu_sim_backend.engines import ENGINES

_COUNT = click.IntRange(min=1)


@click.command("auto")
@click.argument("model_file", metavar="MODEL")
@click.argument("weights_file", metavar="WEIGHTS")
@click.option("--data", required=True, help="An .npz file with one array per network input.")
@click.option(
    "--evaluation-data",
    help="Another .npz file with the samples that are judged.  Default: those of --data that do "
    "not calibrate.",
)
@click.option(
    "--labels",
    help="Class indices: a file with a line per sample, or the name of an array of the .npz file. "
    "Default: the array called like the Accuracy layer's second bottom, 'label' or 'labels'.",
)
@click.option(
    "--metric",
    help="module:function, called as function(outputs, labels) with arrays by blob; returns one "
    "number per sample, or one for all; 1 is 100 %.  Or the name of a plugin's evaluator.",
)
@click.option(
    "--scores",
    help="The blob that is judged.  Default: what the Accuracy layer of the TEST network reads, or "
    "the only output.",
)
@click.option(
    "--max-drop",
    default=0.5,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Points of accuracy that may be lost.",
)
@click.option("-o", "--output", "folder", required=True, help="The folder for all files.")
@click.option(
    "--calibration-images",
    default=100,
    show_default=True,
    type=_COUNT,
    help="The first so many samples of --data calibrate; they are never judged.",
)
@click.option(
    "--sensitivity-images",
    default=16,
    show_default=True,
    type=_COUNT,
    help="The first so many of the calibration's samples rank the layers.",
)
@click.option(
    "--sensitivity",
    help="What ranks the layers, a name of 'amct plugins': it compares what a layer gives in float "
    "and quantized.  Default: the error of the network's output with only that layer in int8.",
)
@click.option(
    "--strategy",
    help="What proposes the layers that stay in float, a name of 'amct plugins'.  Default: binary "
    "search.",
)
@click.option("--batch-size", default=50, show_default=True, type=_COUNT, help="Samples per batch.")
@click.option("--engine", type=click.Choice(ENGINES), default="auto", show_default=True)
@click.option("--backend", help="Who writes the deployable model.  Default: ascend.")
@json_option
def command(as_json: bool, **options: Any) -> None:
    """Quantize MODEL with WEIGHTS, losing at most --max-drop points of accuracy.

    Tries all layers in int8 with several calibrators, with bias correction, with equalization and
    with learned rounding of weights first.  Where none is enough, it ranks the layers by the error
    of the output, finds by binary search how many of the worst have to stay in float, and returns
    those to int8 that need not.

    Each candidate is told in the log and in auto_report.json with its accuracy and the standard
    error of what is lost.  The best one is saved either way.  Stopped and called again, it goes on.
    Exits with 0 if the target is met, else with 1.
    """
    from cpu_sim_backend.ptq.auto import AutoOptions, quantize_automatically
    from cpu_sim_backend.ptq.auto.run import verdict

    result = quantize_automatically(AutoOptions(**options))
    if as_json:
        print_json({**result.report, "files": list(result.files)})
    else:
        for each in result.report["candidates"]:
            error = each["standard_error"]
            click.echo(
                f"{each['accuracy']:7.3f} %  lost {each['drop']:7.3f}"
                f" +- {'?' if error is None else format(error, '.3f')}"
                f"  MACs in float {100 * each['float_macs_share']:5.1f} %  {each['candidate']}"
            )
        click.echo(verdict(result.report))
    if not result.report["met"]:
        raise SystemExit(1)
