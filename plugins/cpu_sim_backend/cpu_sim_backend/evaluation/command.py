"""``amct evaluate``."""

from __future__ import annotations

from typing import Optional, Tuple

import click

from amct_core.cli.output import json_option, print_json
from cpu_sim_backend.cli import backend_option, data_arguments, data_options
from cpu_sim_backend.engines import ENGINES

_COUNT = click.IntRange(min=1)


@click.command("evaluate")
@click.argument("prefix")
@data_arguments
@click.option(
    "--batch-size",
    default=100,
    show_default=True,
    type=_COUNT,
    help="Samples per batch, at most; ignored where inputs differ in length.",
)
@click.option(
    "--labels",
    help="Class indices: an array of the .npz file, or a list file: a line per sample, or for a "
    "folder 'file label'.  Default: the array called like the Accuracy layer's second bottom, "
    "'label' or 'labels'; with --data-layer what that layer reads.",
)
@click.option(
    "--top-k",
    type=_COUNT,
    multiple=True,
    help="Count labels among so many of the largest scores; may be given often.  Default: 1, and 5 "
    "where there are at least 5 classes.",
)
@click.option(
    "--scores",
    help="The blob that is judged.  Default: what the Accuracy layer of the TEST network reads, or "
    "the only output.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="module:function, called as function(outputs, labels) with arrays of all samples by blob; "
    "returns one number, or one per sample, of which the mean counts.  Or the name of a plugin's "
    "evaluator.  May be given often.",
)
@click.option(
    "--float",
    "float_files",
    nargs=2,
    metavar="MODEL WEIGHTS",
    help="The float32 model.  Default: the one that PREFIX_quant.json names.",
)
@click.option(
    "--retrained",
    nargs=2,
    metavar="MODEL WEIGHTS",
    help="The modified model and a snapshot of it: one more column, as training tests it.",
)
@click.option("--soc-version", help="One more column, as this processor, such as Ascend310P3.")
@backend_option
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="What simulates; both give the same bits.",
)
@json_option
def command(
    prefix: str,
    data: Optional[str],
    preprocess: Optional[str],
    data_layer: bool,
    iterations: Optional[int],
    batch_size: int,
    labels: Optional[str],
    top_k: Tuple[int, ...],
    scores: Optional[str],
    metrics: Tuple[str, ...],
    float_files: Optional[Tuple[str, str]],
    retrained: Optional[Tuple[str, str]],
    soc_version: Optional[str],
    backend: Optional[str],
    engine: str,
    as_json: bool,
) -> None:
    """Show float32, fake-quant and integer side by side on your data.

    Runs the float32 model that the models saved as PREFIX were made of, the fake-quant model, and
    the deployable model in exact integers.  Where there are labels, it tells for how many samples
    the label is the largest score (top-1), or among the 5 largest (top-5); a score equal to the
    label's own counts as larger, as in Caffe's Accuracy.  In any case it tells for how many the
    decision is that of float32, and the signal-to-noise ratio of the outputs against float32.

    With --retrained, the network that was trained has a column, too: what rounding the bias, N and
    folding have changed lies between it and fake-quant.

    Where there is no Caffe, float32 is simulated, and what only Caffe can run is left out.
    """
    from amct_core.file_names import ModelFiles
    from cpu_sim_backend.evaluation.evaluate import evaluate_prepared
    from cpu_sim_backend.evaluation.options import EvaluationOptions
    from cpu_sim_backend.evaluation.prepare import prepare
    from cpu_sim_backend.evaluation.table import print_evaluation

    options = EvaluationOptions(
        data=data_options(data, preprocess, data_layer, iterations),
        labels=labels,
        scores=scores,
        top_k=top_k,
        metrics=metrics,
        float_files=ModelFiles(*float_files) if float_files else None,
        retrained=ModelFiles(*retrained) if retrained else None,
        soc_version=soc_version,
        batch_size=batch_size,
        engine=engine,
        backend=backend,
    )
    prepared = prepare(prefix, options)
    if prepared.device is not None:
        click.echo("\n".join(prepared.device.lines()), err=True)
    found = evaluate_prepared(prepared, options)
    if as_json:
        print_json(found.as_json())
    else:
        print_evaluation(found)
