"""``amct``: its list of commands, what it loads, and what becomes of errors."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import amct_core
from amct_core import entry_points, plugins

Amct = Callable[..., Any]
AddPlugin = Callable[[str, str], None]

HEAVY = ("numpy", "rich", "caffe", "google.protobuf", "onnx", "matplotlib", "amct_core.workflow")

COMMAND = """
import click

def load():
    print("loaded")

    @click.command({name!r})
    def command():
        {body}

    return command

@hookimpl
def amct_cli_commands():
    return [CliCommand(name={name!r}, help="Test.", load=load)]
"""


def command_plugin(body: str, name: str = "test") -> str:
    return COMMAND.format(name=name, body=body)


class TestHelp:
    def test_it_lists_commands_and_groups_with_their_help(self, amct: Amct) -> None:
        done = amct("--help")
        assert done.status == 0
        for line in ("doctor +Say what", "plugins +List what", "qat +Quantization-aware"):
            assert re.search(f"^  {line}", done.out, re.MULTILINE)

    def test_a_group_lists_its_commands(self, amct: Amct) -> None:
        done = amct("qat", "--help")
        assert done.status == 0
        for name in ("config", "insert", "save"):
            assert f"\n  {name} " in done.out

    @pytest.mark.parametrize(
        "path", [["doctor"], ["plugins"], ["qat", "config"], ["qat", "insert"], ["qat", "save"]]
    )
    def test_every_command_explains_itself(
        self, amct: Amct, path: list[str], configured: list[str]
    ) -> None:
        done = amct(*path, "--help")
        assert done.status == 0
        assert f"Usage: amct {' '.join(path)}" in done.out
        assert "--json" in done.out
        assert configured == []

    def test_a_plugins_commands_are_listed_without_being_loaded(
        self, amct: Amct, add_plugin: AddPlugin
    ) -> None:
        add_plugin("one", command_plugin("pass", name="hello"))
        add_plugin("two", command_plugin("pass", name="qat wait"))
        add_plugin("three", command_plugin("pass", name="own group"))
        assert "hello    Test." in amct("--help").out
        assert "own      Commands of 'own'." in amct("--help").out
        assert "wait    Test." in amct("qat", "--help").out
        assert "loaded" not in amct("qat", "--help").out
        assert "loaded" in amct("hello").out

    def test_nothing_heavy_is_imported(self) -> None:
        code = (
            "import sys\nfrom amct_core.cli.main import cli\n"
            "try:\n    cli(['--help'])\nexcept SystemExit:\n    pass\n"
            f"print([name for name in {HEAVY!r} if name in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "[]"

    def test_the_version(self, amct: Amct) -> None:
        assert amct("--version").out == f"amct, version {amct_core.__version__}\n"


class TestExitStatus:
    def test_success_is_0_whatever_the_command_returns(
        self, amct: Amct, add_plugin: AddPlugin
    ) -> None:
        add_plugin("mine", command_plugin("return 3"))
        assert amct("test").status == 0

    def test_an_error_of_the_user_is_1_and_a_message(
        self, amct: Amct, add_plugin: AddPlugin
    ) -> None:
        body = "from amct_core.errors import ConfigError; raise ConfigError('bad.', file='c.json')"
        add_plugin("mine", command_plugin(body))
        done = amct("test")
        assert done.status == 1
        assert done.err == "Error: c.json: bad.\n"

    def test_debug_shows_where_it_was_raised(self, amct: Amct, add_plugin: AddPlugin) -> None:
        body = "from amct_core.errors import ConfigError; raise ConfigError('bad.')"
        add_plugin("mine", command_plugin(body))
        done = amct("--debug", "test")
        assert done.status == 1
        assert "Traceback" in done.err and "mine_module.py" in done.err
        assert done.err.endswith("ConfigError: bad.\n")

    @pytest.mark.parametrize(
        "arguments",
        [["nonsense"], ["qat", "nonsense"], ["--nonsense"], ["qat", "save"], ["doctor", "extra"]],
    )
    def test_wrong_usage_is_2(self, amct: Amct, arguments: list[str]) -> None:
        done = amct(*arguments)
        assert done.status == 2
        assert done.out == ""
        assert "Usage: amct" in done.err and "Error: " in done.err

    def test_an_interruption_is_130_and_one_line(self, amct: Amct, add_plugin: AddPlugin) -> None:
        add_plugin("mine", command_plugin("raise KeyboardInterrupt"))
        done = amct("test")
        assert done.status == 130
        assert done.err.strip() == "Interrupted."

    def test_an_interruption_while_the_command_is_imported_is_told_alike(self) -> None:
        code = (
            "import sys\n"
            "class Interrupted:\n"
            "    def find_spec(name, path, target=None):\n"
            "        if name == 'amct_core.cli.main':\n"
            "            raise KeyboardInterrupt\n"
            "sys.meta_path.insert(0, Interrupted)\n"
            "from amct_core.__main__ import main\n"
            "main()\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")

    def test_a_bug_leaves_a_report_with_its_traceback(
        self, amct_process: Amct, tmp_path: Path
    ) -> None:
        distribution(tmp_path / "site", command_plugin("1 / 0"))
        done = amct_process("test", path=str(tmp_path / "site"))
        assert done.status == 70
        assert "Internal error: ZeroDivisionError" in done.err
        report = Path(done.err.split("A report is in ")[1].split(": ")[0])
        assert "Traceback" in report.read_text()
        report.unlink()

    @pytest.mark.parametrize("name", ["test", "qat own"])
    def test_a_bug_in_a_command_of_a_plugin_names_both(
        self, amct: Amct, add_plugin: AddPlugin, tmp_path: Path, name: str
    ) -> None:
        add_plugin("mine", command_plugin("1 / 0", name))
        done = amct(*name.split())
        assert done.status == 70
        first, second = done.err.splitlines()
        assert first == (
            f"Internal error: ZeroDivisionError: division by zero (plugin 'mine', command '{name}')"
        )
        assert second.startswith("This is a fault of plugin 'mine', or of a module of yours")
        Path(second.split("A report is in ")[1].split(": ")[0]).unlink()

    def test_a_bug_in_a_command_of_the_projects_own_plugins_is_the_programs(
        self, amct: Amct, add_plugin: AddPlugin
    ) -> None:
        add_plugin("caffe", command_plugin("1 / 0", "test"))
        done = amct("test")
        assert done.status == 70
        assert done.err.startswith("Internal error: ZeroDivisionError: division by zero\n")
        assert "This is a fault of the program, or of" in done.err

    def test_a_bug_in_a_command_of_the_core_is_nobody_elses(
        self, amct: Amct, add_plugin: AddPlugin, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_plugin("mine", command_plugin("pass"))
        monkeypatch.setattr("amct_core.cli.plugins.print_json", lambda document: 1 / 0)
        done = amct("plugins", "--json")
        assert done.status == 70
        assert done.err.startswith("Internal error: ZeroDivisionError: division by zero\n")
        assert "This is a fault of the program, or of" in done.err

    def test_an_error_inside_a_plugin_is_one_message_and_a_file_with_its_traceback(
        self, amct: Amct, add_plugin: AddPlugin
    ) -> None:
        body = (
            "from amct_core.contracts.usage import Usage\n"
            "        search = ShiftSearch(name='mistaken', provider='mine')\n"
            "        with Usage(search, 'conv').running('observe'):\n"
            "            1 / 0"
        )
        add_plugin("mine", command_plugin(body))
        done = amct("test")
        assert done.status == 1
        first, second = done.err.splitlines()
        assert first.startswith(
            "Error: layer 'conv': plugin 'mine', shift-N search 'mistaken': observe failed with "
            "ZeroDivisionError: division by zero."
        )
        report = Path(second.partition("The traceback, for its author, is in ")[2].rstrip("."))
        text = report.read_text()
        report.unlink()
        for part in ("mine_module.py", "1 / 0", "direct cause", "PluginError"):
            assert part in text
        debug = amct("--debug", "test").err
        assert "mine_module.py" in debug and "direct cause" in debug

    def test_an_error_of_a_plugin_that_has_no_traceback_of_its_own_is_a_message_alone(
        self, amct: Amct, add_plugin: AddPlugin
    ) -> None:
        body = "from amct_core.errors import PluginError; raise PluginError('bad.')"
        add_plugin("mine", command_plugin(body))
        assert amct("test").err == "Error: bad.\n"


class TestLogging:
    def test_a_command_logs_to_console_and_file(self, amct_process: Amct, tmp_path: Path) -> None:
        body = "import logging; logging.getLogger('amct.mine').info('hello'); click.echo('result')"
        distribution(tmp_path / "site", command_plugin(body))
        done = amct_process("test", path=str(tmp_path / "site"))
        assert (done.status, done.out) == (0, "loaded\nresult\n")
        assert "INFO - [AMCT]:[mine_module]: hello" in done.err
        assert "hello" in (tmp_path / "amct_log" / "amct_caffe.log").read_text()

    @pytest.mark.parametrize("arguments", [["--help"], ["plugins"], ["doctor"], ["qat", "save"]])
    def test_looking_around_leaves_no_folder(
        self, amct_process: Amct, tmp_path: Path, arguments: list[str]
    ) -> None:
        amct_process(*arguments)
        assert not (tmp_path / "amct_log").exists()


class TestBrokenPlugins:
    def test_one_that_does_not_load_is_a_warning(self, amct: Amct, add_plugin: AddPlugin) -> None:
        add_plugin("broken", "import no_such_module")
        assert amct("--help").status == 0

    @pytest.mark.parametrize(
        ("source", "said"),
        [
            ("@hookimpl\ndef amct_cli_commands():\n    return None\n", "returned None"),
            ("@hookimpl\ndef amct_cli_commands():\n    1 / 0\n", "failed with ZeroDivisionError"),
            (command_plugin("pass", name="a b c"), "CliCommand.name is 'a b c'"),
            (command_plugin("pass", name="doctor"), "provide the command 'doctor'"),
            (command_plugin("pass", name="lint"), "provide the command 'lint'"),
            (command_plugin("pass", name="lint x"), "which is the group of 'lint x'"),
            (command_plugin("pass", name="qat"), "the command 'qat', which is the group of 'qat "),
        ],
        ids=["nonsense", "raises", "3 words", "of the core", "taken", "below one", "of a group"],
    )
    def test_one_that_breaks_the_list_loses_its_own_commands_alone(
        self, amct: Amct, add_plugin: AddPlugin, source: str, said: str
    ) -> None:
        add_plugin("able", command_plugin("print('done')", name="lint"))
        add_plugin("broken", source)
        listed = amct("--help")
        assert listed.status == 0
        for name in ("doctor", "lint", "plugins"):
            assert f"\n  {name} " in listed.out
        (warning,) = listed.err.splitlines()
        assert warning.startswith("Warning: ") and said in warning
        assert warning.endswith("The commands of plugin 'broken' are left out.")
        assert "done" in amct("lint").out
        told = amct("plugins")
        assert told.status == 1
        assert said in told.out and "lint" in told.out
        assert re.search("FAIL +plugin broken .*" + re.escape(said), amct("doctor").out)

    def test_a_command_that_is_left_out_is_no_command(
        self, amct: Amct, add_plugin: AddPlugin
    ) -> None:
        add_plugin("broken", "@hookimpl\ndef amct_cli_commands():\n    1 / 0\n")
        done = amct("mine")
        assert done.status == 2
        assert done.err.count("'broken'") == 2  # of one warning, which begins and ends with it
        assert "No such command 'mine'" in done.err

    def test_the_commands_of_the_project_stay_whatever_others_are_called(
        self, amct: Amct, add_plugin: AddPlugin, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(entry_points.OWN, "own", "own_module")
        add_plugin("a_first", command_plugin("print('other')", name="verify"))
        add_plugin("own", command_plugin("print('own')", name="verify"))
        done = amct("verify")
        assert "own" in done.out.split() and "other" not in done.out
        assert "The commands of plugin 'a_first' are left out." in done.err

    def test_of_two_plugins_of_one_name_the_first_stays(
        self, amct: Amct, add_plugin: AddPlugin, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_plugin("able", command_plugin("print('done')"))
        found = plugins.installed_entry_points()
        twin = EntryPoint("able", "another_module", "amct")
        monkeypatch.setattr(plugins, "installed_entry_points", lambda: [*found, twin])
        assert "done" in amct("test").out
        said = "two plugins are called 'able': able_module and another_module."
        told = amct("plugins")
        assert told.status == 1 and said in told.out
        assert re.search(r"FAIL +plugin able \(another_module\) .*" + said, amct("doctor").out)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
            ("return 3", "loads 3; expected a click.Command"),
        ],
    )
    def test_a_command_that_does_not_load_names_its_plugin(
        self, amct: Amct, add_plugin: AddPlugin, body: str, message: str
    ) -> None:
        source = (
            f"def load():\n    {body}\n"
            "@hookimpl\ndef amct_cli_commands():\n"
            "    return [CliCommand(name='test', help='Test.', load=load)]\n"
        )
        add_plugin("broken", source)
        assert amct("--help").status == 0
        done = amct("test")
        assert done.status == 1
        assert "command 'test' of plugin 'broken'" in done.err and message in done.err


def distribution(site: Path, source: str) -> None:
    """Install a plugin the way an installer leaves it: a module and its metadata."""
    metadata = site / "mine-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[amct]\nmine = mine_module\n")
    imports = "from amct_core.extensions import *\nfrom amct_core.hookspecs import hookimpl\n"
    (site / "mine_module.py").write_text(imports + source)
