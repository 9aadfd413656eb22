"""``amct simulate`` and ``amct verify``."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
from typing import Optional, Tuple

import click

from cpu_sim_backend.engines import ENGINES
from cpu_sim_backend.progress import progress


@click.command("simulate")
@click.argument("prefix")
@click.option("--data", help="An .npz file with one array per network input.")
@click.option("-o", "--output", help="The .npz file to write.")
@click.option("--onnx", "onnx_file", help="Write the same computation as an ONNX model here.")
@click.option("--outputs", multiple=True, help="A blob to write; may be given often.")
@click.option("--batch-size", default=100, show_default=True, help="Samples per batch.")
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="What computes; both give the same bits.",
)
@click.option(
    "--soc-version", help="Compute what this processor does otherwise, such as Ascend310P3."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def simulate(
    prefix: str,
    data: Optional[str],
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
    if (data is None) != (output is None) or (data is None and onnx_file is None):
        raise click.UsageError("give --data and --output, or --onnx, or all three.")
    if onnx_file is not None:
        _export(prefix, onnx_file)
        if data is None:
            click.echo(json.dumps({"onnx": onnx_file}) if as_json else onnx_file)
    if data is not None and output is not None:
        _simulate(prefix, data, output, outputs, batch_size, engine, soc_version, as_json)


def _export(prefix: str, onnx_file: str) -> None:
    from amct_core.errors import EnvironmentUnsuitableError
    from amct_core.files import FileSet
    from cpu_sim_backend.simulator import Simulator

    if importlib.util.find_spec("onnx") is None:
        raise EnvironmentUnsuitableError(
            "the export needs the onnx package.", remedy="Install amct-cpu-sim-backend[onnx]."
        )
    from cpu_sim_backend.onnx_export import export

    files = f"{prefix}_deploy_model.prototxt", f"{prefix}_deploy_weights.caffemodel"
    model = export(Simulator(*files, engine="reference").graph)
    with FileSet() as staged:
        staged.add(onnx_file, model.SerializeToString())


def _simulate(
    prefix: str,
    data: str,
    output: str,
    outputs: Tuple[str, ...],
    batch_size: int,
    engine: str,
    soc_version: Optional[str],
    as_json: bool,
) -> None:
    from cpu_sim_backend.data import NpzSource, NpzWriter
    from cpu_sim_backend.simulator import Simulator

    source = NpzSource(data)
    files = f"{prefix}_deploy_model.prototxt", f"{prefix}_deploy_weights.caffemodel"
    simulator = Simulator(*files, engine=engine, soc_version=soc_version)
    device = simulator.device
    if device is not None:
        click.echo("\n".join(device.lines()), err=True)
    samples = source.samples
    with tempfile.TemporaryDirectory(prefix=".amct-", dir=_folder_of(output)) as folder:
        writer = NpzWriter(output, samples, folder)
        for batch in progress(source.read(batch_size), -(-samples // batch_size), "simulating"):
            writer.add(simulator.run(batch, outputs or None))
        shapes = {name: list(shape) for name, shape in writer.close().items()}
    if as_json:
        found = {"file": output, "samples": samples, "outputs": shapes}
        if device is not None:
            found["processor"] = device.as_json()
        click.echo(json.dumps(found))
    else:
        click.echo(f"{output}: {samples} samples, {shapes}")


@click.command("verify")
@click.argument("prefix")
@click.option("--data", required=True, help="An .npz file with one array per network input.")
@click.option("--batch-size", default=100, show_default=True, help="Samples per batch.")
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="What computes; both give the same bits.",
)
@click.option(
    "--against",
    type=click.Choice(("framework", "reference")),
    help="What to compare with: the fake-quant model in its framework, or the deployable model in "
    "the reference engine.  Default: the framework if it is installed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(
    prefix: str,
    data: str,
    batch_size: int,
    engine: str,
    against: Optional[str],
    as_json: bool,
) -> None:
    """Prove that the models saved as PREFIX compute alike.

    Runs the fake-quant model in Caffe and the deployable model in integers, and compares every int8
    input and int32 accumulator of every quantized layer, and the outputs.  Where there is no Caffe,
    compares the two engines.  Exits with 0 if nothing differs, else with 1.
    """
    from cpu_sim_backend.data import NpzSource
    from cpu_sim_backend.verify import verify as verify_models

    source = NpzSource(data)
    report = verify_models(prefix, source, batch_size, engine, against)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        from cpu_sim_backend.report_table import print_report

        print_report(report)
    sys.exit(0 if report.exact else 1)


def _folder_of(path: str) -> Optional[str]:
    """Return the folder of ``path`` if it is there already; None for the system's own."""
    folder = os.path.dirname(os.path.abspath(path))
    return folder if os.path.isdir(folder) else None
