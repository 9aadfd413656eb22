"""``amct report``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, Mapping, Optional, Tuple

import attrs
import click

from amct_core.cli.output import json_option
from cpu_sim_backend.cli import backend_option, data_arguments, data_options
from cpu_sim_backend.engines import ENGINES

if TYPE_CHECKING:
    from cpu_sim_backend.analysis.model import LearnedBounds, NetworkReport
    from cpu_sim_backend.analysis.networks import Networks

_Pair = Optional[Tuple[str, str]]


@click.command("report")
@click.argument("prefix")
@data_arguments
@click.option(
    "--float",
    "float_files",
    nargs=2,
    metavar="MODEL WEIGHTS",
    help="The float network to compare with.  Default: what the model was saved from, after "
    "training the modified model and its snapshot, whose trained weights count then.",
)
@click.option(
    "--unsaved",
    nargs=2,
    metavar="MODEL WEIGHTS",
    help="Report before saving, from what saving reads: layers that it refuses stay in float and "
    "come first.  PREFIX is only the name of the report then.",
)
@click.option("--record", help="With --unsaved: the record; default: as the modified model says.")
@click.option(
    "--config", help="With --unsaved: the config of post-training quantization, if it is that."
)
@click.option("-o", "--output", help="The page to write, one HTML file that opens offline.")
@click.option("--advice", "advice_file", help="The JSON file of cures to write.")
@click.option(
    "--metrics", help="The metrics of the training, for the learned bounds over the iterations."
)
@click.option(
    "--sensitivity",
    is_flag=True,
    help="Measure what each layer alone costs in the network's outputs, which takes longer.",
)
@click.option(
    "--sensitivity-samples",
    type=click.IntRange(min=1),
    help="On how many samples; default: as many as are needed.",
)
@backend_option
@click.option("--soc-version", help="Mark what this processor does otherwise, such as Ascend310P3.")
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help="Samples per batch, at most; default: as many as need little memory.",
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="What computes the integers; both give the same bits.",
)
@json_option
def command(
    prefix: str,
    data: Optional[str],
    preprocess: Optional[str],
    data_layer: bool,
    iterations: Optional[int],
    float_files: _Pair,
    unsaved: _Pair,
    record: Optional[str],
    config: Optional[str],
    output: Optional[str],
    advice_file: Optional[str],
    metrics: Optional[str],
    sensitivity: bool,
    sensitivity_samples: Optional[int],
    soc_version: Optional[str],
    backend: Optional[str],
    batch_size: Optional[int],
    engine: str,
    as_json: bool,
) -> None:
    """Say which layers of the model saved as PREFIX cost accuracy, why, and what to change.

    Runs the float network and the integer network on the data, and each quantized layer alone.
    Prints how close int8 comes to float, what stands in the way with cause and cure, and all
    layers, the worst first.  --advice writes the cures for 'amct qat config --apply' and 'amct ptq
    config --apply'.

    It informs: it exits with 0 whatever it finds, and with 1 if a section of a plugin fails.
    """
    from amct_core.file_names import saved_files
    from amct_core.plugins import registries
    from amct_core.saved_model import saved_model
    from cpu_sim_backend.analysis.analyse import Question, analyse
    from cpu_sim_backend.analysis.networks import Unsaved, saved_networks, unsaved_networks
    from cpu_sim_backend.data.choice import open_source
    from cpu_sim_backend.data.npz import NpzSource
    from cpu_sim_backend.reporting.sections import sections_of_plugins

    if unsaved is None and (record is not None or config is not None):
        raise click.UsageError("give --record and --config with --unsaved only.")
    if sensitivity_samples is not None and not sensitivity:
        raise click.UsageError("give --sensitivity-samples with --sensitivity only.")
    options = data_options(data, preprocess, data_layer, iterations)
    if unsaved is not None and (data_layer or options.is_folder):
        raise click.UsageError("with --unsaved, give --data as an .npz file.")
    read = {
        "--data": data,
        "--preprocess": preprocess,
        "--record": record,
        "--config": config,
        "--metrics": metrics,
        **_named("--float", float_files),
        **_named("--unsaved", unsaved),
        **{path: path for path in saved_files(prefix, "Both")},
    }
    _check_outputs(read, output, advice_file)
    if unsaved is None:
        saved = saved_model(prefix, registries(), backend=backend)
        networks = saved_networks(prefix, float_files, saved)
        source = open_source(saved, options)
    else:
        source = NpzSource(str(options.data))
        first = next(iter(source.read(1)))
        shapes = {blob: tuple(array.shape) for blob, array in first.items()}
        networks = unsaved_networks(Unsaved(*unsaved, record, config), float_files, shapes)
    question = Question(
        prefix=prefix,
        data=data if data is not None else f"{iterations} batches of the network's data layers",
        batch_size=batch_size,
        engine=engine,
        soc_version=soc_version,
        bounds=_bounds(metrics, networks),
    )
    report = analyse(networks, source, question)
    if sensitivity:
        from cpu_sim_backend.reporting.sensitivities import with_sensitivities

        report = with_sensitivities(
            report, networks, source, sensitivity_samples, engine, batch_size
        )
    added = sections_of_plugins(report, networks.deployed)
    report = attrs.evolve(report, sections=added.sections)
    _write(report, output, advice_file)
    _print(report, output, advice_file, as_json)
    added.require_all()


def _named(option: str, pair: _Pair) -> Dict[str, str]:
    words = ("MODEL", "WEIGHTS")
    return {} if pair is None else {f"{option} {w}": path for w, path in zip(words, pair)}


def _check_outputs(
    read: Mapping[str, Optional[str]], output: Optional[str], advice_file: Optional[str]
) -> None:
    """Raise before anything runs where an output cannot be written."""
    from amct_core.distinct_files import check_distinct
    from amct_core.errors import ConfigError
    from cpu_sim_backend.report_page import check_installed

    check_distinct(read, {"--output": output, "--advice": advice_file})
    for path in (output, advice_file):
        if path is not None and os.path.isdir(path):
            raise ConfigError(
                "it is a folder; expected a file to write.", file=path, remedy="Name a file in it."
            )
    if output is not None:
        check_installed()


def _bounds(metrics: Optional[str], networks: Networks) -> Tuple[LearnedBounds, ...]:
    if metrics is None:
        return ()
    from amct_core.graph.deployed_layers import deployed_layers
    from cpu_sim_backend.analysis.analyse import sharing
    from cpu_sim_backend.analysis.learned import learned_bounds

    return learned_bounds(metrics, sharing(tuple(deployed_layers(networks.deployed).values())))


def _write(report: NetworkReport, output: Optional[str], advice_file: Optional[str]) -> None:
    from amct_core.files import FileSet
    from cpu_sim_backend.analysis import strict_json
    from cpu_sim_backend.analysis.advice import advice
    from cpu_sim_backend.report_page import render

    if output is None and advice_file is None:
        return
    with FileSet() as files:
        if output is not None:
            files.add(output, render(report, advice_file))
        if advice_file is not None:
            files.add(advice_file, f"{strict_json.dumps(advice(report))}\n")


def _print(
    report: NetworkReport, output: Optional[str], advice_file: Optional[str], as_json: bool
) -> None:
    from cpu_sim_backend.analysis import strict_json, terminal

    if as_json:
        click.echo(strict_json.dumps(report.as_json()))
        return
    if output is None:
        click.echo("\n".join(terminal.lines(report)))
    else:
        click.echo("\n".join(terminal.folded(report.verdict)))
        click.echo()
        click.echo("\n".join((*terminal.table(report), "", *terminal.sections(report))).rstrip())
    for file in (output, advice_file):
        if file is not None:
            click.echo(file)
