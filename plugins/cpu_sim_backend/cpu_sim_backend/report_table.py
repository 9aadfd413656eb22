"""What ``amct verify`` shows on the terminal."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Tuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from amct_core.numerics.exactness import EXACT_LIMIT
from cpu_sim_backend.departure import Departure, remarks
from cpu_sim_backend.report import OutputReport, VerifyReport

_HEADINGS = (
    "layer",
    "same inputs: sums differ",
    "free: int8 inputs differ",
    "largest sum / 2^24",
    "bound / 2^24",
    "int16 saturated",
)

_LEGEND = (
    "same inputs: each layer on the integers that the other side had.  free: from the network's "
    "inputs on.  bound: no partial sum is larger; float32 is exact below 2^24."
)


def print_report(report: VerifyReport) -> None:
    """Print a report as tables on standard output."""
    console = Console()
    table = Table(title=f"{report.samples} samples: {report.compared}", caption=_LEGEND)
    for heading in _HEADINGS:
        table.add_column(heading, justify="left" if heading == "layer" else "right")
    for layer in report.layers:
        table.add_row(
            escape(layer.name),
            str(layer.accumulator_mismatches),
            str(layer.input_int8_mismatches),
            f"{layer.max_abs_accumulator / EXACT_LIMIT:.4f}",
            f"{layer.max_abs_partial_sum_bound / EXACT_LIMIT:.4f}",
            str(layer.int16_saturated),
        )
    for blob in report.floats:
        what = "output" if blob.fed_layer is None else "input of a fed layer:"
        table.add_row(f"{what} '{escape(blob.blob)}'", "", str(blob.mismatches), "", "", "")
    console.print(table)
    for line in (*_remarks(report), report.verdict):
        # As it is: what stands in brackets is no markup, and a line is not broken.
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def print_departure(found: Departure) -> None:
    """Print how far a processor departs as tables on standard output."""
    console = Console()
    title = f"{found.samples} samples: {found.device.soc_version} beside the exact integers"
    layers = Table(title=title)
    for heading in ("quantized layer", "computed", "int8 inputs differ", "by up to"):
        layers.add_column(heading, justify="left" if heading != "by up to" else "right")
    for layer in found.layers:
        rolled_back = not layer.values
        share = "-" if rolled_back else _share(layer.differing, layer.values)
        layers.add_row(
            escape(layer.name), layer.how, share, "-" if rolled_back else str(layer.largest)
        )
    outputs = Table()
    for heading in ("output", "numbers differ", "by up to", "largest number", "decisions differ"):
        outputs.add_column(heading, justify="left" if heading == "output" else "right")
    for output in found.outputs:
        outputs.add_row(
            escape(output.blob),
            _share(output.differing, output.values),
            f"{output.largest:.4g}",
            f"{output.largest_value:.4g}",
            _share(output.decisions, output.places) if output.places else "-",
        )
    console.print(layers)
    console.print(outputs)
    for line in remarks(found):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / max(whole, 1):.3f} %)"


def _remarks(report: VerifyReport) -> Iterator[str]:
    yield from report.mixed_files
    if report.missing_layers:
        yield f"in one of the two saved models only: {', '.join(report.missing_layers)}"
    for layer in report.layers:
        if layer.first_difference is not None:
            yield f"{layer.name}: first difference: {_described(layer.first_difference)}"
        if not layer.proven:
            yield f"{layer.name}: float32 sums may exceed 2^24; exactness is not proven."
    behind: Dict[Tuple[str, ...], List[str]] = {}
    for layer in report.layers:
        if layer.inexact_upstream:
            behind.setdefault(layer.inexact_upstream, []).append(layer.name)
    for floats, layers in behind.items():
        yield (
            f"{', '.join(layers)}: running freely, behind float layers that agree to 1e-6 only: "
            f"{', '.join(floats)}"
        )
    for blob in report.floats:
        if blob.different_values:
            yield _float_remark(blob)
    if report.fed_layers:
        yield (
            "not simulated, the framework's own results were taken and what they read was "
            f"compared: {', '.join(report.fed_layers)}"
        )


def _float_remark(blob: OutputReport) -> str:
    """Say how far a float blob agrees that is not the same in every bit."""
    line = f"'{blob.blob}': {blob.different_values} values are not the same in every bit"
    if blob.beyond_tolerance:
        line += f", and {blob.beyond_tolerance} differ by more than 1e-6 of the largest"
    if blob.inexact_upstream:
        return f"{line}; behind float layers that agree to 1e-6 only: " + ", ".join(
            blob.inexact_upstream
        )
    return (
        f"{line}, though every float layer before it is claimed to be (the sign of a zero counts)"
    )


def _described(difference: Dict[str, Any]) -> str:
    place = ", ".join(map(str, difference["index"]))
    sample = difference.get("sample")
    return (
        f"{difference['where']}[{place}] is {difference['simulated']} in the simulation and "
        f"{difference['framework']} in what it is compared with"
        + (f" ('{sample}')" if sample is not None else "")
    )
