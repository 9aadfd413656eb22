"""What ``amct verify`` shows on the terminal."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, List

import pytest

from cpu_sim_backend.departure import Departure, LayerDeparture, OutputDeparture
from cpu_sim_backend.report import LayerReport, OutputReport, VerifyReport
from cpu_sim_backend.report_table import print_departure, print_report

RIGHT = LayerReport("conv1", 0, 0, 2**22, 0, None, ("norm",), max_abs_accumulator=2**20)
WRONG = LayerReport(
    "conv2",
    3,
    5,
    2**24,
    7,
    {"where": "accumulator", "index": [12, 0, 3, 4], "simulated": 8, "framework": 9.0},
    ("norm",),
    max_abs_accumulator=2**23,
)


@pytest.fixture
def shown(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """Return the lines that a report of one right and one wrong layer prints."""
    monkeypatch.setenv("COLUMNS", "200")
    report = VerifyReport(20, (RIGHT, WRONG), (OutputReport("prob", 11),), "one with the other")
    print_report(report)
    return str(capsys.readouterr().out).splitlines()


def row(shown: List[str], name: str) -> List[str]:
    (found,) = (line for line in shown if line.startswith(f"│ {name}"))
    return [cell.strip() for cell in found.strip("│").split("│")]


def test_a_row_tells_same_inputs_from_running_freely(shown: List[str]) -> None:
    headings = next(line for line in shown if line.startswith("┃"))
    assert headings.index("same inputs") < headings.index("free") < headings.index("largest sum")
    assert row(shown, "conv1") == ["conv1", "0", "0", "0.0625", "0.2500", "0"]
    assert row(shown, "conv2") == ["conv2", "5", "3", "0.5000", "1.0000", "7"]
    assert row(shown, "output 'prob'")[2] == "11"


def test_what_is_compared_is_the_title(shown: List[str]) -> None:
    assert shown[0].strip() == "20 samples: one with the other"


def test_the_first_difference_has_its_coordinates(shown: List[str]) -> None:
    (line,) = (line for line in shown if "first difference" in line)
    assert line.startswith("conv2: first difference: accumulator[12, 0, 3, 4] is 8 in the ")
    assert "9.0 in what it is compared with" in line


def test_layers_behind_the_same_float_layers_share_a_line(shown: List[str]) -> None:
    (line,) = (line for line in shown if "1e-6" in line)
    assert line.startswith("conv1, conv2: running freely") and line.endswith("only: norm")


def test_what_is_not_proven_is_not_exact(shown: List[str]) -> None:
    assert "conv2: float32 sums may exceed 2^24; exactness is not proven." in shown
    assert shown[-1] == "NOT exact"


def last_lines(capsys: Any, monkeypatch: pytest.MonkeyPatch, **found: Any) -> List[str]:
    """Return what stands below the table of a report of right layers."""
    monkeypatch.setenv("COLUMNS", "200")
    outputs = found.pop("outputs", (OutputReport("prob", 0),))
    print_report(VerifyReport(20, (found.pop("layer", RIGHT),), outputs, **found))
    lines = str(capsys.readouterr().out).splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.startswith("└")) + 1 :]


LAST_BITS = OutputReport("prob", 0, different_values=3, inexact_upstream=("prob",))
FLIPPED = LayerReport("conv1", 2, 0, 2**22, 0, None, ("norm",))


def test_exact_alone_is_said_only_of_every_bit(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert last_lines(capsys, monkeypatch)[-1] == "exact"
    lines = last_lines(capsys, monkeypatch, outputs=(LAST_BITS,))
    assert lines[-1].startswith("exact in every integer; float outputs agree to 1e-6")
    assert "'prob': 3 values are not the same in every bit" in lines[-2]
    assert lines[-2].endswith("agree to 1e-6 only: prob")
    lines = last_lines(capsys, monkeypatch, layer=FLIPPED)
    assert lines[-1].startswith("exact in every integer on the same inputs; float outputs agree")


def test_what_ends_it_is_named(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = last_lines(capsys, monkeypatch, missing_layers=("left", "right"))
    assert lines[-1] == "NOT exact"
    assert "in one of the two saved models only: left, right" in lines
    wrong = OutputReport("prob", 5, different_values=7, beyond_tolerance=5)
    lines = last_lines(capsys, monkeypatch, outputs=(wrong,))
    assert lines[-1] == "NOT exact"
    assert "and 5 differ by more than 1e-6 of the largest" in lines[-2]


def test_fed_layers_are_named(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = last_lines(capsys, monkeypatch, fed_layers=("priors", "own"))
    assert lines[-1] == "exact"
    assert lines[-2].startswith("not simulated") and lines[-2].endswith(": priors, own")


LONG = "inception_4e/3x3_double_reduce/quantized"


def layer(name: str, bound: int, **found: Any) -> LayerReport:
    values: Any = {"max_abs_accumulator": bound // 2, **found}
    return LayerReport(name, 0, values.pop("sums", 0), bound, 0, values.pop("at", None), **values)


def printed(capsys: Any, monkeypatch: pytest.MonkeyPatch, columns: str, *layers: Any) -> List[str]:
    monkeypatch.setenv("COLUMNS", columns)
    print_report(VerifyReport(20, layers, (OutputReport("prob", 0),), "one with the other"))
    return str(capsys.readouterr().out).splitlines()


def test_what_differs_comes_first_and_then_the_least_head_room(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = (
        *(layer("a", 2**20), layer("b", 2**23), layer("c", 2**22, sums=1)),
        *(layer("d", 2**25), layer("e", 2**21)),
    )
    lines = printed(capsys, monkeypatch, "200", *layers)
    names = [line.split()[1] for line in lines if line.startswith("│ ")]
    assert names == ["c", "d", "b", "e", "a", "output"]


@pytest.mark.parametrize("columns", ["60", "80", "100"])
def test_names_fold_on_a_narrow_terminal_and_lose_nothing(
    capsys: Any, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    lines = printed(capsys, monkeypatch, columns, layer(LONG, 2**20), layer("conv1", 2**19))
    table = lines[: next(i for i, line in enumerate(lines) if line.startswith("└")) + 1]
    assert table[-1].endswith("┘") and max(map(len, table)) <= int(columns)
    cells = [line.split("│")[1].strip() for line in table if line.startswith("│")]
    assert "".join(cells).startswith(f"{LONG}conv1")


def test_names_are_whole_in_a_pipe(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(capsys, monkeypatch, "", layer(LONG, 2**20))
    (line,) = (line for line in lines if LONG in line)
    assert [cell.strip() for cell in line.split("│")[2:4]] == ["0", "0"]


def test_the_same_remark_on_forty_layers_is_one_line(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    different = {"where": "accumulator", "index": [0], "simulated": 8, "framework": 9.0}
    layers = [layer(f"conv{i}", 2**25, sums=1, at=different) for i in range(40)]
    lines = printed(capsys, monkeypatch, "200", *layers)
    below = lines[next(i for i, line in enumerate(lines) if line.startswith("└")) + 1 :]
    remarks = [line for line in below if line.startswith(("conv", "a first"))]
    assert [line.split(":")[0] for line in remarks[:3]] == ["conv0", "conv1", "conv2"]
    assert remarks[3].startswith("a first difference of 37 more layers (--json has it): conv3, ")
    assert remarks[4].startswith("conv0, conv1, ") and remarks[4].endswith("is not proven.")
    assert len(remarks) == 5


@pytest.mark.parametrize("columns", ["70", "80", ""])
def test_what_departs_most_comes_first_and_what_is_rolled_back_is_one_row(
    capsys: Any, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    device: Any = SimpleNamespace(soc_version="Ascend310P3", lines=lambda: ["remark"])
    compared = [LayerDeparture(f"conv{i}", "int8", i, 100, 1) for i in range(3)]
    rolled_back = [LayerDeparture(f"res{i}a_branch2b", "float16", 0, 0, 0) for i in range(40)]
    output = OutputDeparture("prob", 1, 10, 1e-3, 0.9, 0, 5)
    print_departure(Departure(20, device, (*rolled_back, *compared), (output,)))
    lines = str(capsys.readouterr().out).splitlines()
    rows = [line.split("│")[1].strip() for line in lines if line.startswith("│")]
    assert rows[:3] == ["conv2", "conv1", "conv0"]
    assert rows[3].startswith("40 layers, named")
    names = lines.index("float16, so that there is no int8 (40 layers):")
    assert lines[names + 1].startswith("  res0a_branch2b, res1a_branch2b, ")
    assert lines[names + 4].endswith(" more (--json lists all)")
    assert all(len(line) <= int(columns or 200) for line in lines if line[:1] in "│└┏")
    assert sum(line.endswith(("┘", "┓")) for line in lines) == 4
