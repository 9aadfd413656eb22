"""What ``amct verify`` shows on the terminal."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, Sequence, Tuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from amct_core.cli.output import counted, print_names, table_console
from amct_core.numerics.exactness import EXACT_LIMIT
from cpu_sim_backend.departure import Departure, LayerDeparture, remarks
from cpu_sim_backend.report import LayerReport, OutputReport, VerifyReport

_HEADINGS = (
    "layer",
    "same inputs: sums differ",
    "free: int8 inputs differ",
    "largest sum / 2^24",
    "bound / 2^24",
    "int16 saturated",
)

_NARROW, _NUMBER = 110, 9
"""Columns of a terminal that is narrow for a table, and of a number in it."""

_MOST_DIFFERENCES = 3
"""What layer differs first is what matters; the others follow from it more often than not."""

_LEGEND = (
    "same inputs: each layer on the integers that the other side had.  free: from the network's "
    "inputs on.  bound: no partial sum is larger; float32 is exact below 2^24."
)


def print_report(report: VerifyReport) -> None:
    """Print a report as tables on standard output: what differs first, then the least head-room."""
    console = table_console()
    table = Table(title=f"{report.samples} samples: {report.compared}", caption=_LEGEND)
    _add_columns(table, console, _HEADINGS, left=("layer",))
    for layer in sorted(report.layers, key=_concern):
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
    _print_lines(console, (*_remarks(report), report.verdict))


def _concern(layer: LayerReport) -> Tuple[bool, int]:
    """Return a key that sorts what is not exact first, in network order; then the largest sums."""
    return layer.exact, -layer.max_abs_partial_sum_bound if layer.exact else 0


def _add_columns(
    table: Table, console: Console, headings: Sequence[str], left: Sequence[str]
) -> None:
    """Add columns whose cells fold where the terminal is narrow; names get the room there is."""
    narrow = console.width < _NARROW
    for heading in headings:
        table.add_column(
            heading,
            justify="left" if heading in left else "right",
            overflow="fold",
            max_width=_NUMBER if narrow and heading not in left else None,
        )


def _print_lines(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        # As it is: what stands in brackets is no markup, and a line is not broken.
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def print_departure(found: Departure) -> None:
    """Print how far a processor departs as tables on standard output."""
    console = table_console()
    title = f"{found.samples} samples: {found.device.soc_version} beside the exact integers"
    layers = Table(title=title)
    headings = ("quantized layer", "computed", "int8 inputs differ", "by up to")
    _add_columns(layers, console, headings, left=headings[:3])
    for layer in sorted((each for each in found.layers if each.values), key=_departing):
        share = _share(layer.differing, layer.values)
        layers.add_row(escape(layer.name), layer.how, share, str(layer.largest))
    rolled_back = _without_int8(found.layers)
    for how, names in rolled_back.items():
        layers.add_row(f"{counted(len(names), 'layer')}, named below", how, "-", "-")
    outputs = Table()
    columns = ("output", "numbers differ", "by up to", "largest number", "decisions differ")
    _add_columns(outputs, console, columns, left=("output",))
    for output in found.outputs:
        outputs.add_row(
            escape(output.blob),
            _share(output.differing, output.values),
            f"{output.largest:.4g}",
            f"{output.largest_value:.4g}",
            _share(output.decisions, output.places) if output.places else "-",
        )
    console.print(layers)
    for how, names in rolled_back.items():
        _print_lines(
            console, [f"{how}, so that there is no int8 ({counted(len(names), 'layer')}):"]
        )
        print_names(names)
    console.print(outputs)
    _print_lines(console, remarks(found))


def _departing(layer: LayerDeparture) -> float:
    return -layer.differing / layer.values


def _without_int8(layers: Sequence[LayerDeparture]) -> Dict[str, List[str]]:
    """Return the names of the layers that have no int8 to compare, by how they are computed."""
    found: Dict[str, List[str]] = {}
    for layer in layers:
        if not layer.values:
            found.setdefault(layer.how, []).append(layer.name)
    return found


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / max(whole, 1):.3f} %)"


def _remarks(report: VerifyReport) -> Iterator[str]:
    yield from report.mixed_files
    if report.missing_layers:
        yield f"in one of the two saved models only: {', '.join(report.missing_layers)}"
    different = [layer for layer in report.layers if layer.first_difference is not None]
    for layer in different[:_MOST_DIFFERENCES]:
        assert layer.first_difference is not None
        yield f"{layer.name}: first difference: {_described(layer.first_difference)}"
    left = [layer.name for layer in different[_MOST_DIFFERENCES:]]
    if left:
        yield (
            f"a first difference of {counted(len(left), 'more layer')} (--json has it): "
            f"{', '.join(left)}"
        )
    unproven = [layer.name for layer in report.layers if not layer.proven]
    if unproven:
        yield f"{', '.join(unproven)}: float32 sums may exceed 2^24; exactness is not proven."
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
