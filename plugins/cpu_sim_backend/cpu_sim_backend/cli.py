"""``amct simulate`` and ``amct verify``."""

from __future__ import annotations

import json
import sys
from typing import Any, Dict, List, Tuple

import click
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import FileFormatError
from cpu_sim_backend.engines import ENGINES
from cpu_sim_backend.report import VerifyReport


def read_npz(path: str) -> Dict[str, NDArray[Any]]:
    """Read an ``.npz`` file of arrays by blob name.

    Raises:
        FileFormatError: the file is missing or not an ``.npz`` file.
    """
    try:
        with np.load(path) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, AttributeError) as error:
        raise FileFormatError(
            f"cannot be read as an .npz file: {error}.",
            file=path,
            remedy="Write it with numpy.savez(path, data=array).",
        ) from error


@click.command("simulate")
@click.argument("prefix")
@click.option("--data", required=True, help="An .npz file with one array per network input.")
@click.option("-o", "--output", required=True, help="The .npz file to write.")
@click.option("--outputs", multiple=True, help="A blob to write; may be given often.")
@click.option("--batch-size", default=100, show_default=True, help="Samples per batch.")
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="What computes; both give the same bits.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def simulate(
    prefix: str,
    data: str,
    output: str,
    outputs: Tuple[str, ...],
    batch_size: int,
    engine: str,
    as_json: bool,
) -> None:
    """Run the deployable model saved as PREFIX in integers on the CPU.

    Without --outputs the network's outputs are written; the blob of a Quant layer is int8, an
    accumulator int32.
    """
    from cpu_sim_backend.simulator import Simulator

    arrays = read_npz(data)
    simulator = Simulator(
        f"{prefix}_deploy_model.prototxt", f"{prefix}_deploy_weights.caffemodel", engine
    )
    results: Dict[str, List[NDArray[Any]]] = {}
    samples = max((len(array) for array in arrays.values()), default=0)
    for start in range(0, samples, batch_size):
        batch = {name: array[start : start + batch_size] for name, array in arrays.items()}
        for name, array in simulator.run(batch, outputs or None).items():
            results.setdefault(name, []).append(array)
    merged = {name: np.concatenate(parts) for name, parts in results.items()}
    np.savez(output, **merged)
    shapes = {name: list(array.shape) for name, array in merged.items()}
    if as_json:
        click.echo(json.dumps({"file": output, "samples": samples, "outputs": shapes}))
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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(prefix: str, data: str, batch_size: int, engine: str, as_json: bool) -> None:
    """Prove that the models saved as PREFIX compute alike.

    Runs the fake-quant model in Caffe and the deployable model in integers, and compares every int8
    input and int32 accumulator of every quantized layer, and the outputs.  Exits with 0 if nothing
    differs, else with 1.
    """
    from cpu_sim_backend.verify import verify as verify_models

    report = verify_models(prefix, read_npz(data), batch_size, engine)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        print_report(report)
    sys.exit(0 if report.exact else 1)


def print_report(report: VerifyReport) -> None:
    """Print a report as tables on standard output."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=f"{report.samples} samples")
    for heading in (
        "layer",
        "int8 inputs",
        "accumulators",
        "largest partial sum",
        "int16 saturated",
    ):
        table.add_column(heading, justify="left" if heading == "layer" else "right")
    for layer in report.layers:
        bound = f"{layer.max_abs_partial_sum_bound / 2**24:.2f} of 2^24"
        counts = (layer.input_int8_mismatches, layer.accumulator_mismatches)
        table.add_row(
            layer.name, *(f"{n} differ" for n in counts), bound, str(layer.int16_saturated)
        )
    for output in report.outputs:
        table.add_row(f"output '{output.blob}'", "", f"{output.mismatches} differ", "", "")
    console.print(table)
    for layer in report.layers:
        if layer.first_difference is not None:
            console.print(f"{layer.name}: first difference: {layer.first_difference}")
        if not layer.proven:
            console.print(f"{layer.name}: float32 sums may exceed 2^24; exactness is not proven.")
    console.print("exact" if report.exact else "NOT exact")
