"""How far a loop has come, on a terminal and elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from amct_core.progress import progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(progress("abc", 3, "working")) == ["a", "b", "c"]
    assert "working" in sys.stderr.getvalue()


def test_elsewhere_there_is_a_line_each_half_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = iter(range(0, 1000, 20))
    monkeypatch.setattr("amct_core.progress.time.monotonic", lambda: next(seconds))
    caplog.set_level("INFO", logger="amct_core.progress")
    items = ["aa"] * 5
    assert list(progress(items, 10, "working", len)) == items
    assert caplog.messages == ["working: 4 of 10", "working: 8 of 10"]


def test_in_a_short_time_there_is_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="amct_core.progress")
    assert list(progress(range(3), 3, "working")) == [0, 1, 2]
    assert caplog.messages == []
