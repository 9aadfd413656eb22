"""A command of a distribution that is not installed is named with it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from amct_core import entry_points
from amct_core.cli.missing_commands import PROVIDERS
from amct_core.plugins import registries

Amct = Callable[..., Any]
AddPlugin = Callable[[str, str], None]

COMMANDS = [
    (command, provider.distribution) for provider in PROVIDERS for command in provider.commands
]


@pytest.fixture
def core_alone(add_plugin: AddPlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that of our distributions only the core is installed."""

    def version(name: str) -> str:
        if name == "amct-core":
            return "0.1.0"
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)


def test_the_table_is_what_the_plugins_register() -> None:
    registry = registries().cli_commands
    registered = {
        (command.name, registry.provider(command.name))
        for command in registry
        if registry.provider(command.name) in {provider.plugin for provider in PROVIDERS}
    }
    assert registered == {
        (command, provider.plugin) for provider in PROVIDERS for command in provider.commands
    }


def test_they_are_the_projects_own_plugins() -> None:
    assert {provider.plugin for provider in PROVIDERS} == set(entry_points.OWN)


def test_each_distribution_brings_the_plugin_of_that_name() -> None:
    for provider in PROVIDERS:
        points = metadata.distribution(provider.distribution).entry_points
        found = {point.name: point.value for point in points if point.group == "amct"}
        assert found[provider.plugin] == entry_points.OWN[provider.plugin]


@pytest.mark.usefixtures("core_alone")
class TestCoreAlone:
    @pytest.mark.parametrize(("command", "distribution"), COMMANDS)
    def test_what_brings_the_command_is_named(
        self, amct: Amct, command: str, distribution: str
    ) -> None:
        done = amct(*command.split(), "model", "--some-option")
        assert done.status == 1
        assert f"'amct {command}' comes with {distribution}, which is not installed" in done.err
        assert f"pip install --find-links FOLDER {distribution}==0.1.0" in done.err
        assert "FOLDER is where" in done.err

    def test_what_reads_models_is_named(self, amct: Amct, tmp_path: Path) -> None:
        model = tmp_path / "net.prototxt"
        model.write_text('layer { name: "data" type: "Input" top: "data" }')
        done = amct("qat", "config", str(model), "net.caffemodel", "-o", "c.json")
        said = " ".join(done.err.split())
        assert done.status == 1
        assert "none is installed. Install amct-caffe" in said
        assert "pip install --find-links FOLDER amct-caffe==0.1.0" in amct("doctor").out

    def test_whatever_nobody_brings_is_wrong_usage(self, amct: Amct) -> None:
        for arguments in (["nonsense"], ["qat", "nonsense"], ["run"]):
            done = amct(*arguments)
            assert done.status == 2
            assert f"No such command '{arguments[-1]}'" in done.err

    def test_a_plugin_of_another_may_bring_a_command_of_that_name(
        self, amct: Amct, add_plugin: AddPlugin
    ) -> None:
        source = """
        import click

        @hookimpl
        def amct_cli_commands():
            command = click.Command("verify", callback=lambda: print("mine"))
            return [CliCommand("verify", "Test.", lambda: command, writes_log=False)]
        """
        add_plugin("other", source)
        assert amct("verify").out == "mine\n"


def test_a_plugin_that_does_not_load_is_told_of(
    amct: Amct, add_plugin: AddPlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "0.1.0")
    add_plugin("cpu_sim", "import no_such_module")
    done = amct("verify")
    assert done.status == 1
    assert "'amct verify' comes with amct-cpu-sim-backend, which is installed" in done.err
    assert "No module named 'no_such_module'" in done.err
    assert "amct doctor" in done.err


def test_a_plugin_whose_hook_fails_is_told_of(
    amct: Amct, add_plugin: AddPlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "0.1.0")
    add_plugin("cpu_sim", "@hookimpl\ndef amct_cli_commands():\n    1 / 0\n")
    done = amct("verify")
    assert done.status == 1
    assert "'amct verify' comes with amct-cpu-sim-backend, which is installed" in done.err
    assert "is of no use: plugin 'cpu_sim': hook amct_cli_commands failed with Zero" in done.err
