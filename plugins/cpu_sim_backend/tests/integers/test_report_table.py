"""What ``amct verify`` shows on the terminal."""

from __future__ import annotations

from typing import Any, List

import pytest

from cpu_sim_backend.report import LayerReport, OutputReport, VerifyReport
from cpu_sim_backend.report_table import print_report

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
