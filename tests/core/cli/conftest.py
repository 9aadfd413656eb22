"""Running ``amct`` in this process or in one of its own, with plugins of the test's making."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import attrs
import pytest

import amct_core
from amct_core import plugins
from amct_core.cli.main import cli

PREAMBLE = "from amct_core.extensions import *\nfrom amct_core.hookspecs import hookimpl\n"


@attrs.frozen
class Outcome:
    """What a call of ``amct`` came to."""

    status: int
    out: str
    err: str


@pytest.fixture
def amct(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Return a function that runs ``amct`` with the arguments it gets, in this process."""

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli(arguments, prog_name="amct")
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return Outcome(caught.value.code, captured.out, captured.err)

    return run


@pytest.fixture(autouse=True)
def configured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keep the log handlers of this process as they are; the list grows where they would change."""
    calls: list[str] = []
    monkeypatch.setattr("amct_core.logging.configure", lambda: calls.append("configured"))
    return calls


@pytest.fixture
def add_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, str], None]]:
    """Return a function that adds a plugin of the given name and source; no other is installed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    installed: list[EntryPoint] = []
    monkeypatch.setattr(plugins, "installed_entry_points", lambda: list(installed))

    def forget() -> None:
        plugins.host.cache_clear()
        plugins.registries.cache_clear()

    def add(name: str, source: str) -> None:
        module = f"{name}_module"
        (tmp_path / f"{module}.py").write_text(PREAMBLE + textwrap.dedent(source))
        monkeypatch.delitem(sys.modules, module, raising=False)
        installed.append(EntryPoint(name, module, "amct"))
        forget()

    forget()
    yield add
    forget()


@pytest.fixture
def amct_process(tmp_path: Path) -> Callable[..., Outcome]:
    """Return a function that runs ``amct`` in a process, in a folder of its own."""

    def run(*arguments: str, path: str = "") -> Outcome:
        root = str(Path(amct_core.__file__).parents[1])
        python_path = os.pathsep.join([path, root, os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, "-m", "amct_core", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": python_path},
            capture_output=True,
            text=True,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run
