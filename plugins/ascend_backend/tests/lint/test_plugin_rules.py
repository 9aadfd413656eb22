"""Rules of plugins are checked, shown and explained as the built-in ones are."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from amct_core import plugins
from amct_core.cli.main import cli
from amct_core.errors import PluginError
from amct_core.extensions import LintRule
from ascend_backend.lint import lint
from plugins.ascend_backend.tests.lint.broken_models import Model

PLUGIN = """
from amct_core.extensions import LintProblem, LintRule
from amct_core.hookspecs import hookimpl

def check(graph, soc_version):
    {check}

@hookimpl
def amct_lint_rules():
    return [LintRule("board1", "{severity}", "Too wide", "Make it narrower.", "Section 2.", check)]
"""
TOO_WIDE = """yield LintProblem(f"{soc_version}: too wide.", graph.nodes[-1].name, 'width')"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that installs a rule beside the plugins that are there."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed(check: str, severity: str = "error") -> None:
        source = PLUGIN.replace("{check}", check).replace("{severity}", severity)
        (tmp_path / "board_rules.py").write_text(source)
        monkeypatch.delitem(sys.modules, "board_rules", raising=False)
        importlib.invalidate_caches()
        points = [*plugins.installed_entry_points(), EntryPoint("board", "board_rules", "amct")]
        host = plugins.create_host(points)
        found = plugins.Registries(host)
        for module in [each for each in sys.modules.values() if hasattr(each, "registries")]:
            monkeypatch.setattr(module, "registries", lambda: found)

    return installed


def amct(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["lint", *arguments])


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    Model.whole().write(tmp_path)
    return str(tmp_path / "m")


def test_what_a_rule_finds_is_shown_and_decides_the_status(install: Install, prefix: str) -> None:
    install(TOO_WIDE)
    result = amct(prefix, "--soc-version", "Ascend310P3")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:3] == [
        "error board1: Too wide",
        "  Fix: Make it narrower.",
        "    prob (width): Ascend310P3: too wide.",
    ]
    assert "1 errors, " in result.stdout


def test_a_warning_of_a_plugin_exits_with_0(install: Install, prefix: str) -> None:
    install(TOO_WIDE, "warning")
    result = amct(prefix)
    assert (result.exit_code, "0 errors, 1 warnings" in result.stdout) == (0, True)


def test_programs_get_it_with_the_same_keys(install: Install, prefix: str) -> None:
    install(TOO_WIDE)
    (finding,) = json.loads(amct(prefix, "--json").stdout)["findings"]
    assert finding == {
        "rule": "board1",
        "severity": "error",
        "title": "Too wide",
        "layer": "prob",
        "field": "width",
        "message": "None: too wide.",
        "fix": "Make it narrower.",
    }


def test_a_rule_of_a_plugin_is_explained(install: Install) -> None:
    install(TOO_WIDE)
    page = "# board1: Too wide\n\nSeverity: error\n\nSection 2.\n\nMake it narrower.\n"
    assert amct("--explain", "BOARD1").stdout == page
    unknown = amct("--explain", "A002x").output
    assert "A001" in unknown and "board1" in unknown


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("raise KeyError('width')", "check failed with KeyError: 'width'."),
        ("return ['wide']", "check gave 'wide' among its items; expected LintProblem."),
        ("return 3", "check failed with TypeError: 'int' object is not iterable."),
    ],
)
def test_a_rule_that_fails_is_named_with_its_plugin(
    install: Install, prefix: str, check: str, said: str
) -> None:
    install(check)
    result = amct(prefix)
    assert result.exit_code == 1
    printed = " ".join(result.output.split())
    assert printed.count(f"plugin 'board', lint rule 'board1': {said}") == 1
    _, _, end = result.output.partition("\nError: ")
    error, *traceback = end.splitlines()
    assert error == "could not be checked: rule 'board1' of plugin 'board'; the findings say why."
    assert len(traceback) == ("failed with" in said)
    for line in traceback:
        kept = Path(line.partition(" is in ")[2].rstrip("."))
        assert "plugin_rules.py" in kept.read_text()
        kept.unlink()


BROKEN_HOOK = (
    "return ()\n\n"
    "@hookimpl(specname='amct_lint_rules')\n"
    "def first():\n"
    "    yield LintRule('board0', 'warning', 'Too narrow', 'Make it wider.', 'Section 3.', check)\n"
    "    raise KeyError('width')"
)


def test_a_hook_that_fails_costs_the_rules_of_its_plugin_alone(
    install: Install, prefix: str
) -> None:
    install(BROKEN_HOOK)
    result = amct(prefix, "--json")
    document, _ = json.JSONDecoder().raw_decode(result.output)
    (found,) = [each for each in document["findings"] if not each["rule"].startswith("A")]
    assert (found["rule"], found["severity"]) == ("rules_of_board", "error")
    assert found["message"] == (
        "plugin 'board': hook amct_lint_rules failed with KeyError: 'width'."
    )
    assert found["fix"] == "Uninstall the plugin, or tell its author."
    assert result.exit_code == 1
    assert "could not be checked: the rules of plugin 'board'; the findings" in result.output


BROKEN_BESIDE_OTHERS = (
    "raise KeyError('width')\n\n"
    "def narrow(graph, soc_version):\n"
    "    yield LintProblem('too narrow.', graph.nodes[-1].name)\n\n"
    "@hookimpl(specname='amct_lint_rules')\n"
    "def more_rules():\n"
    "    texts = ('warning', 'Too narrow', 'Make it wider.', 'Section 3.')\n"
    "    return [LintRule(name, *texts, narrow) for name in ('board0', 'board2')]"
)


def test_a_rule_that_fails_keeps_no_other_from_being_checked(install: Install, prefix: str) -> None:
    install(BROKEN_BESIDE_OTHERS, "warning")
    own = f"{prefix}_deploy_model.prototxt"
    Path(own).write_text(Path(own).read_text().replace('name: "prob"', 'name: "prob?"'))
    result = amct(prefix, "--json")
    document, _ = json.JSONDecoder().raw_decode(result.output)
    told = {each["rule"]: each for each in document["findings"]}
    assert set(told) > {"board0", "board1", "board2"}
    assert told["board0"]["message"] == told["board2"]["message"] == "too narrow."
    assert any(rule.startswith("A") for rule in told)
    assert (told["board1"]["severity"], document["warnings"]) == ("error", 2)
    assert told["board1"]["message"].startswith("plugin 'board', lint rule 'board1': check failed")
    assert result.exit_code == 1
    Path(
        result.output.split("The traceback, for its author, is in ")[1].strip().rstrip(".")
    ).unlink()


def test_a_rule_that_fails_is_an_error_of_a_call_from_python(install: Install, prefix: str) -> None:
    install(BROKEN_BESIDE_OTHERS, "warning")
    findings = lint(f"{prefix}_deploy_model.prototxt", f"{prefix}_deploy_weights.caffemodel")
    assert [(each.rule.id, each.rule.severity) for each in findings] == [
        ("board0", "warning"),
        ("board1", "error"),
        ("board2", "warning"),
    ]


def test_where_the_files_are_no_network_it_is_said(install: Install, prefix: str) -> None:
    install(TOO_WIDE)
    model = f"{prefix}_deploy_model.prototxt"
    text = Path(model).read_text()
    Path(model).write_text(text.replace('bottom: "data"', 'bottom: "nothing"'))
    printed = " ".join(amct(prefix).stdout.split())
    assert "The rules of plugins could not be checked: " in printed
    assert "nothing" in json.loads(amct(prefix, "--json").stdout)["rules_of_plugins_not_checked"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "A900"}, "ids of an A and three digits are those of the built-in rules"),
        ({"name": "a001"}, "ids of an A and three digits"),
        ({"name": "no id"}, "LintRule.name is 'no id'; expected letters"),
        ({"severity": "fatal"}, "severity is 'fatal'; expected 'error' or 'warning'"),
        ({"title": ""}, "title is ''; expected a text"),
        ({"fix": None}, "fix is None; expected a text"),
        ({"explanation": 3}, "explanation is 3; expected a text"),
        ({"check": None}, "check is None; expected a callable"),
    ],
)
def test_a_rule_checks_itself(changed: dict[str, object], said: str) -> None:
    right = {"name": "B1", "severity": "error", "title": "t", "fix": "f", "explanation": "e"}
    with pytest.raises(PluginError) as caught:
        LintRule(**{**right, "check": lambda graph, soc: [], **changed})  # type: ignore[arg-type]
    assert said in str(caught.value)
