"""``amct simulate`` and ``amct verify``."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple, TypeVar

import click

from amct_core.cli.output import json_option, print_json
from amct_core.plugins import registries
from cpu_sim_backend.engines import ENGINES
from cpu_sim_backend.progress import progress

if TYPE_CHECKING:
    from amct_core.saved_model import SavedModel
    from cpu_sim_backend.data.choice import DataOptions
    from cpu_sim_backend.data.source import DataSource


Command = TypeVar("Command", bound=Callable[..., Any])


def data_arguments(command: Command) -> Command:
    """Add the options that say where data come from; :func:`data_options` reads them."""
    for option in (
        click.option(
            "--iterations",
            type=click.IntRange(min=1),
            help="Batches to take with --data-layer.",
        ),
        click.option(
            "--data-layer",
            is_flag=True,
            help="Take the data from the network's own TEST data layers, which Caffe runs.",
        ),
        click.option(
            "--preprocess",
            help="A JSON file that declares what is done to the images of a folder.",
        ),
        click.option(
            "--data",
            help="An .npz file with one array per network input, or a folder of images.",
        ),
    ):
        command = option(command)
    return command


def backend_option(command: Command) -> Command:
    """Add the option that says who has written the deployable model."""
    option = click.option(
        "--backend",
        metavar="NAME",
        help="The deploy backend that wrote the model; default: the one that recognises it.",
    )
    return option(command)


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that both commands have."""
    for option in reversed(
        (
            click.option(
                "--model",
                "model_file",
                help="The prototxt, in place of PREFIX_deploy_model.prototxt, such as one that was "
                "edited by hand.",
            ),
            backend_option,
            data_arguments,
            click.option(
                "--batch-size",
                default=100,
                show_default=True,
                type=click.IntRange(min=1),
                help="Samples per batch, at most; ignored where inputs differ in length.",
            ),
            click.option(
                "--engine",
                type=click.Choice(ENGINES),
                default="auto",
                show_default=True,
                help="What computes; both give the same bits.",
            ),
            json_option,
        )
    ):
        command = option(command)
    return command


def data_options(
    data: Optional[str], preprocess: Optional[str], data_layer: bool, iterations: Optional[int]
) -> DataOptions:
    """Return where the data come from; raise a usage error where the options disagree."""
    from cpu_sim_backend.data.choice import DataOptions

    if data_layer == (data is not None):
        raise click.UsageError("give --data or --data-layer.")
    if data_layer != (iterations is not None):
        raise click.UsageError("give --iterations with --data-layer, and only with it.")
    options = DataOptions(data, preprocess, iterations or 0)
    if options.is_folder != (preprocess is not None):
        raise click.UsageError("give --preprocess with a folder of images, and only with it.")
    return options


def files_of(source: DataSource) -> Dict[str, Any]:
    """Return what ``--json`` says about the order of files."""
    return {} if source.files is None else {"files": list(source.files)}


@click.command("simulate")
@click.argument("prefix")
@_options
@click.option("-o", "--output", help="The .npz file to write.")
@click.option("--onnx", "onnx_file", help="Write the same computation as an ONNX model here.")
@click.option("--outputs", multiple=True, help="A blob to write; may be given often.")
@click.option(
    "--soc-version", help="Compute what this processor does otherwise, such as Ascend310P3."
)
def simulate(
    prefix: str,
    data: Optional[str],
    model_file: Optional[str],
    backend: Optional[str],
    preprocess: Optional[str],
    data_layer: bool,
    iterations: Optional[int],
    output: Optional[str],
    onnx_file: Optional[str],
    outputs: Tuple[str, ...],
    batch_size: int,
    engine: str,
    soc_version: Optional[str],
    as_json: bool,
) -> None:
    """Run the deployable model saved as PREFIX in integers on the CPU.

    Without --outputs the network's outputs are written; the blob of a Quant layer is int8, an
    accumulator int32.  --onnx writes a model of standard operators with the same integers; then
    --data and --output may be left out.

    --soc-version departs from the exact integers where that processor does, and says on the
    standard error (with --json in the result) where that is, and how well it is known.
    """
    if onnx_file is not None and soc_version is not None:
        raise click.UsageError("--onnx writes the exact integers; leave --soc-version out.")
    has_data = data is not None or data_layer
    if has_data != (output is not None) or not (has_data or onnx_file is not None):
        raise click.UsageError("give --data (or --data-layer) and --output, or --onnx, or all.")
    saved = _saved(prefix, model_file, backend)
    options = None
    if has_data:
        options = data_options(data, preprocess, data_layer, iterations)
    if onnx_file is not None:
        _export(saved, onnx_file)
        if options is None:
            click.echo(json.dumps({"onnx": onnx_file}) if as_json else onnx_file)
    if options is not None and output is not None:
        source = _source(saved, options)
        _simulate(saved, source, output, outputs, batch_size, engine, soc_version, as_json)


def _saved(prefix: str, model_file: Optional[str], backend: Optional[str]) -> SavedModel:
    from amct_core.saved_model import saved_model

    return saved_model(prefix, registries(), model_file, backend)


def _export(saved: SavedModel, onnx_file: str) -> None:
    from amct_core.cli.installing import how_to_install
    from amct_core.errors import EnvironmentUnsuitableError
    from amct_core.files import FileSet
    from cpu_sim_backend.simulator import Simulator

    if importlib.util.find_spec("onnx") is None:
        raise EnvironmentUnsuitableError(
            "the export needs the onnx package.", remedy=f"Run: {how_to_install('amct[onnx]')}."
        )
    from cpu_sim_backend.onnx_export import export

    model = export(Simulator.from_saved(saved, engine="reference").graph)
    with FileSet() as staged:
        staged.add(onnx_file, model.SerializeToString())


def _source(saved: SavedModel, options: DataOptions) -> DataSource:
    from cpu_sim_backend.data.choice import open_source

    return open_source(saved, options)


def _simulate(
    saved: SavedModel,
    source: DataSource,
    output: str,
    outputs: Tuple[str, ...],
    batch_size: int,
    engine: str,
    soc_version: Optional[str],
    as_json: bool,
) -> None:
    from amct_core.files import temporary_folder
    from cpu_sim_backend.data import NpzWriter
    from cpu_sim_backend.simulator import Simulator

    simulator = Simulator.from_saved(saved, engine=engine, soc_version=soc_version)
    device = simulator.device
    if device is not None:
        click.echo("\n".join(device.lines()), err=True)
    batches = simulator.batches(source, batch_size)
    with temporary_folder(_folder_of(output), os.path.basename(output)) as folder:
        writer = NpzWriter(output, folder)
        for batch in progress(batches, batches.samples, "simulating"):
            writer.add(simulator.run(batch, outputs or None))
        shapes = {name: list(shape) for name, shape in writer.close().items()}
    if as_json:
        found = {"file": output, "samples": batches.samples, "outputs": shapes, **files_of(source)}
        if device is not None:
            found["processor"] = device.as_json()
        click.echo(json.dumps(found))
    else:
        click.echo(f"{output}: {batches.samples} samples, {shapes}")


@click.command("verify")
@click.argument("prefix")
@_options
@click.option(
    "--against",
    type=click.Choice(("framework", "reference")),
    help="What to compare with: the fake-quant model in its framework, or the deployable model in "
    "the reference engine.  Default: the framework if it is installed.",
)
@click.option(
    "--soc-version",
    help="Do not prove, but show how far this processor, such as Ascend310P3, departs from the "
    "exact integers.",
)
def verify(
    prefix: str,
    data: Optional[str],
    model_file: Optional[str],
    backend: Optional[str],
    preprocess: Optional[str],
    data_layer: bool,
    iterations: Optional[int],
    batch_size: int,
    engine: str,
    against: Optional[str],
    soc_version: Optional[str],
    as_json: bool,
) -> None:
    """Prove that the models saved as PREFIX compute alike.

    Runs the fake-quant model in Caffe and the deployable model in integers, and compares every int8
    input and int32 accumulator of every quantized layer, the factors that both store, and the
    outputs.  Where there is no Caffe, compares the two engines.

    Says "exact" where every compared bit is the same.  Exits with 0 if no integer differs, or only
    int8 inputs behind float layers that it names as inexact, if both models have the same quantized
    layers, and if outputs agree to 1e-6 of their largest magnitude; else with 1.  What layers give
    that cannot be simulated is taken from Caffe, and they are named.

    With --soc-version, runs the deployable model exactly and as that processor computes it, and
    shows per layer, in the outputs and in the decisions what differs, which layers are merged or
    rolled back, and how well each of these facts is known.  That informs: it exits with 0.
    """
    if soc_version is not None and against is not None:
        raise click.UsageError("give --soc-version or --against.")
    saved = _saved(prefix, model_file, backend)
    source = _source(saved, data_options(data, preprocess, data_layer, iterations))
    if soc_version is not None:
        _show_departure(saved, source, batch_size, engine, soc_version, as_json)
        return
    from cpu_sim_backend.report_table import print_report
    from cpu_sim_backend.verify import verify as verify_models

    report = verify_models(prefix, source, batch_size, engine, against, model_file, backend)
    if as_json:
        print_json({**report.as_json(), **files_of(source)})
    else:
        print_report(report)
    sys.exit(0 if report.passed else 1)


def _show_departure(
    saved: SavedModel,
    source: DataSource,
    batch_size: int,
    engine: str,
    soc_version: str,
    as_json: bool,
) -> None:
    from cpu_sim_backend.departure import departure
    from cpu_sim_backend.report_table import print_departure
    from cpu_sim_backend.simulator import Simulator

    device = Simulator.from_saved(saved, engine=engine, soc_version=soc_version)
    found = departure(Simulator.from_saved(saved, engine=engine), device, source, batch_size)
    if as_json:
        print_json({**found.as_json(), **files_of(source)})
    else:
        print_departure(found)


def _folder_of(path: str) -> str:
    """Return the folder of ``path`` if it is there already, else that for temporary files."""
    folder = os.path.dirname(os.path.abspath(path))
    return folder if os.path.isdir(folder) else tempfile.gettempdir()
