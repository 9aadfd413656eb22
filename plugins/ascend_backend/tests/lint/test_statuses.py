"""What is inferred or unknown is never printed as verified."""

from __future__ import annotations

import json
import re
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner

from amct_core.cli.main import cli
from ascend_backend import targets
from ascend_backend.lint import RULES, find
from ascend_backend.lint.report import as_json
from ascend_backend.lint.rule import PAGES
from ascend_backend.targets import INFERRED, UNKNOWN, VERIFIED, AscendFamily, families
from plugins.ascend_backend.tests.lint.broken_models import CASES, Broken, Model

ABOUT_PROCESSORS = re.compile(r"A079|A09\d|A11[0-8]")
TOLD = [case for case in CASES if ABOUT_PROCESSORS.match(case.rule)]
STATUS = re.compile(r"\((verified|inferred|unknown)\)")


def doubted(family: AscendFamily) -> AscendFamily:
    """Return the family with nothing verified."""
    facts = {
        name: attrs.evolve(fact, status=INFERRED if fact.status == VERIFIED else fact.status)
        for name, fact in family.facts().items()
    }
    return attrs.evolve(family, **facts)


def messages(case: Broken, folder: Path, doubt: bool) -> list[str]:
    """Return what the rule of ``case`` says of a processor, from the report for programs."""
    model = Model.whole()
    case.change(model)
    model.soc_version = model.soc_version or "Ascend310P3"
    linted = model.read(folder)
    if doubt:
        assert linted.target is not None
        target = attrs.evolve(linted.target, family=doubted(linted.target.family))
        linted = attrs.evolve(linted, target=target)
    findings = as_json(linted, find(linted))["findings"]
    return [each["message"] for each in findings if each["rule"] == case.rule]


@pytest.mark.parametrize("case", TOLD, ids=str)
def test_each_message_about_a_processor_ends_with_a_status(case: Broken, tmp_path: Path) -> None:
    for message in messages(case, tmp_path, doubt=False):
        assert STATUS.search(message[-20:]), message


@pytest.mark.parametrize("case", TOLD, ids=str)
def test_the_status_is_that_of_the_table(case: Broken, tmp_path: Path) -> None:
    for message in messages(case, tmp_path, doubt=True):
        assert VERIFIED not in message


@pytest.mark.parametrize("case", TOLD, ids=str)
def test_what_a_page_calls_inferred_is_said_to_be(case: Broken, tmp_path: Path) -> None:
    text = (PAGES / f"{case.rule}.md").read_text()
    if "* inferred: " in text:
        for message in messages(case, tmp_path, doubt=False):
            assert STATUS.findall(message) == [INFERRED]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_page_tells_of_each_family_how_well_a_fact_is_known(rule) -> None:
    shown = CliRunner().invoke(cli, ["lint", "--explain", rule.id]).output
    assert shown == rule.page()
    facts = [line for line in shown.splitlines() if "targets.json of this package" in line]
    for line in facts:
        name = line.split(", ")[1].split(":")[0]
        for family in families():
            fact = family.facts()[name]
            status = r"(?=[,;]|$)" if fact.status == UNKNOWN else rf" \({fact.status}\)"
            assert re.search(rf"\b{family.name}{status}", line), (family.name, line)
    rest = "".join(line for line in shown.splitlines() if line not in facts)
    assert VERIFIED not in rest
    assert bool(facts) or not ABOUT_PROCESSORS.match(rule.id)


def test_json_has_the_status(tmp_path: Path) -> None:
    model = Model.whole()
    next(case for case in CASES if case.rule == "A092").change(model)
    model.write(tmp_path)
    arguments = ["lint", str(tmp_path / "m"), "--json", "--soc-version", "Ascend310B1"]
    findings = json.loads(CliRunner().invoke(cli, arguments).stdout)["findings"]
    status = {each["rule"]: STATUS.findall(each["message"]) for each in findings}
    assert status == {"A092": [UNKNOWN], "A094": [VERIFIED]}


def test_what_is_not_simulated_has_the_status_of_the_table(monkeypatch, tmp_path: Path) -> None:
    notes = [note for family in families() for note in family.not_simulated]
    assert any(VERIFIED in note for note in notes)
    table = targets._FILE.read_text(encoding="utf-8")
    doubtful = tmp_path / "targets.json"
    doubtful.write_text(table.replace(f'"{VERIFIED}"', f'"{INFERRED}"'), encoding="utf-8")
    monkeypatch.setattr(targets, "_FILE", doubtful)
    read_again = families.__wrapped__()
    assert len(read_again) == len(families())
    for family in read_again:
        assert not any(VERIFIED in note for note in family.not_simulated)
