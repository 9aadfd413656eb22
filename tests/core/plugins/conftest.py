"""Plugins as real modules behind real entry points."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

PluginFactory = Callable[..., EntryPoint]

PREAMBLE = """
from amct_core.extensions import *
from amct_core.hookspecs import hookimpl
"""


@pytest.fixture
def make_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PluginFactory:
    """Return a function that writes a plugin module and gives the entry point that names it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str, source: str, module: str = "") -> EntryPoint:
        module = module or f"{name}_module"
        (tmp_path / f"{module}.py").write_text(PREAMBLE + textwrap.dedent(source))
        monkeypatch.delitem(sys.modules, module, raising=False)
        importlib.invalidate_caches()
        return EntryPoint(name, module, "amct")

    return make
