"""Sections and metrics of plugins, as ``amct report`` and ``--metric`` use them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np
import pytest

from amct_core.errors import ConfigError, PluginError
from amct_core.extensions import Evaluator, ReportSection, SectionContent
from amct_core.graph import Graph
from amct_core.registry import Registry
from cpu_sim_backend.analysis import strict_json, terminal
from cpu_sim_backend.analysis.model import NetworkReport
from cpu_sim_backend.report_page import render
from cpu_sim_backend.reporting.sections import PluginSections, sections_of_plugins
from cpu_sim_backend.scoring import metrics

REPORT = NetworkReport("p", "x.npz", 3, "All is well.", (), (), (), ())
GRAPH = Graph("net", [])


def provided(kind: str, *items: Any) -> Any:
    registry: Registry[Any] = Registry(kind)
    for item in items:
        registry.add(item, "mine")
    return registry


def added(build: Callable[..., Any], *more: ReportSection, **broken: PluginError) -> PluginSections:
    section = ReportSection("memory", "Memory <b>", build)
    sections = provided("report section", section, *more)
    sections.left_out.update(broken)
    plugins: Any = SimpleNamespace(report_sections=sections)
    return sections_of_plugins(REPORT, GRAPH, plugins)


def built(build: Callable[..., Any], *more: ReportSection, **broken: PluginError) -> NetworkReport:
    return attrs.evolve(REPORT, sections=added(build, *more, **broken).sections)


def content(report: Any, graph: Graph) -> SectionContent:
    assert report["samples"] == 3
    assert graph is GRAPH
    return SectionContent("Too much & more.", ("layer", "bytes"), [("<i>a\x1b", 12), ("b", 0.25)])


def test_a_section_is_in_the_json() -> None:
    report = json.loads(strict_json.dumps(built(content).as_json()))
    (section,) = report["sections"]
    assert section == {
        "name": "memory",
        "title": "Memory <b>",
        "paragraphs": ["Too much & more."],
        "headings": ["layer", "bytes"],
        "rows": [["<i>a\x1b", 12], ["b", 0.25]],
    }


def test_numbers_are_numbers_in_the_json_and_have_6_digits_for_people() -> None:
    cells = [np.int64(3), np.float32(0.5), 1 / 3, 10**20, float("inf"), True, "7"]
    report = built(
        lambda report, graph: SectionContent((), ("value",), [(cell,) for cell in cells])
    )
    (section,) = json.loads(strict_json.dumps(report.as_json()))["sections"]
    found = [cell for (cell,) in section["rows"]]
    assert found == [3, 0.5, 1 / 3, 10**20, "inf", True, "7"]
    assert [type(cell) for cell in found] == [int, float, float, int, str, bool, str]
    printed = [line.strip() for line in terminal.lines(report, 60)]
    start = printed.index("value") + 1
    assert printed[start : start + len(cells)] == [
        *("3", "0.5", "0.333333", str(10**20), "inf", "True", "7")
    ]
    assert "0.<wbr>333333</bdi></td>" in render(report)


def test_a_section_is_printed() -> None:
    lines = list(terminal.lines(built(content), 60))
    start = lines.index("Memory <b>")
    assert lines[start + 1 : start + 5] == [
        "    Too much & more.",
        "    layer  bytes",
        "    <i>a   12",
        "    b      0.25",
    ]


def test_a_section_is_on_the_page_and_escaped() -> None:
    page = render(built(content))
    assert '<a href="#section-memory">Memory &lt;b&gt;</a>' in page
    assert '<section id="section-memory"' in page
    assert "<p>Too much &amp; more.</p>" in page
    assert "&lt;i&gt;a\\x1b" in page
    assert "<b>" not in page.partition('id="section-memory"')[2].partition("</section>")[0]


def test_sections_stand_in_the_order_of_their_names() -> None:
    other = ReportSection("another", "Another", lambda report, graph: SectionContent("First."))
    silent = ReportSection("b_silent", "Silent", lambda report, graph: None)
    assert [each.name for each in built(content, other, silent).sections] == ["another", "memory"]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda report, graph: report["no"], "build failed with KeyError: 'no'."),
        (lambda report, graph: "text", "build returned 'text'; expected SectionContent or None."),
        (
            lambda report, graph: SectionContent(rows=[("a",)]),
            "build returned a row of 1 cells; expected 0, one per heading.",
        ),
        (
            lambda report, graph: SectionContent((), ("h",), [(None,)]),
            "build returned None as a cell; expected text or a number.",
        ),
        (
            lambda report, graph: SectionContent([3]),
            "build returned 3 among its paragraphs and headings; expected text.",
        ),
    ],
)
def test_a_section_that_fails_says_so_and_stops_no_other(
    build: Callable[..., Any], said: str
) -> None:
    other = ReportSection("other", "Other", lambda report, graph: SectionContent("Here."))
    found = added(build, other)
    failed, kept = found.sections
    assert (failed.name, failed.title) == ("memory", "Memory <b>")
    (paragraph,) = failed.paragraphs
    assert paragraph.startswith(
        f"It could not be made: plugin 'mine', report section 'memory': {said}"
    )
    assert paragraph.endswith("Uninstall the plugin, or tell its author.")
    assert kept.paragraphs == ("Here.",)
    with pytest.raises(PluginError, match="section 'memory' of plugin 'mine'") as caught:
        found.require_all()
    assert said not in str(caught.value)  # it has been said
    assert said in str(caught.value.__cause__)


def test_a_hook_that_fails_takes_away_the_sections_of_its_plugin_alone() -> None:
    report = built(content, broken=PluginError("hook failed."))
    kept, failed = report.sections
    assert kept.name == "memory"
    assert failed.title == "Sections of plugin 'broken'"
    assert failed.paragraphs == ("It could not be made: hook failed.",)
    assert "It could not be made: hook failed." in render(report)
    found = added(content, broken=PluginError("hook failed."))
    with pytest.raises(PluginError, match="the sections of plugin 'broken'"):
        found.require_all()


def test_nothing_is_raised_where_nothing_failed() -> None:
    added(content).require_all()


Metric = Callable[[Callable[..., Any]], metrics.Metric]


@pytest.fixture
def metric(monkeypatch: pytest.MonkeyPatch) -> Metric:
    """Return a function that gives the metric that a plugin's evaluator is."""

    def found(score: Callable[..., Any]) -> metrics.Metric:
        evaluators = provided("evaluator", Evaluator("margin", "first less second", score))
        monkeypatch.setattr(metrics, "registries", lambda: SimpleNamespace(evaluators=evaluators))
        return metrics.metric_function("margin")

    return found


OUTPUTS = {"prob": np.float32([[0.25, 0.75], [0.5, 0.5]])}


@pytest.mark.parametrize("given", [0.5, [0.0, 1.0], np.float32([1, 0])])
def test_an_evaluator_is_a_metric(metric: Metric, given: Any) -> None:
    labels = np.array([1, 0])

    def score(outputs: Any, found: Any) -> Any:
        assert outputs is OUTPUTS and found is labels
        return given

    assert np.array_equal(metric(score)(OUTPUTS, labels), np.asarray(given, np.float64))
    assert metrics.metric_value("margin", metric(score)(OUTPUTS, labels), 2) == 0.5


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("good", "score gave 'good'; expected one finite number, or one for each of 2 samples."),
        (float("nan"), "score gave nan; expected one finite number"),
        ([1, 2, 3], "score gave [1, 2, 3]; expected one finite number"),
        (np.zeros((2, 1)), "score gave float64 (2, 1); expected one finite number"),
        (ZeroDivisionError("oh"), "score failed with ZeroDivisionError: oh."),
    ],
)
def test_an_evaluator_that_fails_is_named_with_its_plugin(
    metric: Metric, given: Any, said: str
) -> None:
    def score(outputs: Any, labels: Any) -> Any:
        if isinstance(given, Exception):
            raise given
        return given

    with pytest.raises(PluginError) as caught:
        metric(score)(OUTPUTS, None)
    assert str(caught.value).startswith(f"plugin 'mine', evaluator 'margin': {said}")


def test_an_unknown_name_lists_the_evaluators(metric: Metric) -> None:
    metric(lambda outputs, labels: 1)
    with pytest.raises(ConfigError) as caught:
        metrics.metric_function("other")
    assert "expected module:function, or the name of an evaluator: margin." in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "right", "wrong", "said"),
    [
        (Evaluator, ("m", "d", len), {"description": ""}, "description is ''; expected a text"),
        (Evaluator, ("m", "d", len), {"score": 3}, "score is 3; expected a callable"),
        (Evaluator, ("m", "d", len), {"name": "a:b"}, "Evaluator.name is 'a:b'"),
        (ReportSection, ("m", "t", len), {"title": None}, "title is None; expected a text"),
        (ReportSection, ("m", "t", len), {"build": None}, "build is None; expected a callable"),
    ],
)
def test_both_check_themselves(
    kind: Any, right: Sequence[Any], wrong: dict[str, Any], said: str
) -> None:
    whole = kind(*right)
    with pytest.raises(PluginError) as caught:
        attrs.evolve(whole, **wrong)
    assert said in str(caught.value)
