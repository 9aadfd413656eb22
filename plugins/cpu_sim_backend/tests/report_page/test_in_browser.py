"""The page as Chromium shows it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import attrs
import pytest

from cpu_sim_backend.report_page import render
from plugins.cpu_sim_backend.tests.report_page import chromium, synthetic
from plugins.cpu_sim_backend.tests.report_page.test_page import HOSTILE, renamed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        chromium.program() is None,
        reason="no Chromium on PATH: apt-get install chromium",
    ),
]

OVERFLOW = """
    const root = page.document.documentElement;
    page.document.querySelectorAll("details").forEach(each => { each.open = true; });
    const beyond = Array.from(page.document.querySelectorAll("body *"))
      .filter(each => each.getBoundingClientRect().right > page.innerWidth + 1)
      .map(each => each.tagName + "." + each.className + " " + each.textContent.slice(0, 40));
    return {wide: root.scrollWidth, room: root.clientWidth, beyond: beyond.slice(0, 5)};
"""

SORT = """
    const names = () => Array.from(page.document.querySelectorAll("#layer-table tbody tr"))
      .map(row => row.cells[0].querySelector(".name").textContent);
    const button = page.document.querySelector("#layer-table thead button");
    const before = names();
    button.click();
    const up = names();
    button.click();
    return {before, up, down: names(), said: button.parentNode.getAttribute("aria-sort")};
"""

FOLD = """
    const layers = Array.from(page.document.querySelectorAll("details.layer"));
    const open = () => layers.filter(each => each.open).length;
    const [all, none] = page.document.querySelectorAll("#fold-buttons button");
    const first = open();
    all.click();
    const everything = open();
    none.click();
    return {first, everything, nothing: open(), layers: layers.length};
"""


@pytest.fixture(scope="module")
def report():
    return synthetic.report(blocks=4, widest=300)


@pytest.fixture(scope="module")
def long_names(report):
    """Layers with names that no line holds."""
    layers = tuple(
        attrs.evolve(each, name=f"{each.name}/{'very_long_' * 12}{'x' * 80}")
        for each in report.layers
    )
    names = {old.name: new.name for old, new in zip(report.layers, layers)}
    graph = tuple(
        attrs.evolve(
            node,
            name=names.get(node.name, node.name),
            inputs=tuple(names.get(each, each) for each in node.inputs),
        )
        for node in report.graph
    )
    findings = tuple(attrs.evolve(each, layer=names[each.layer]) for each in report.findings)
    bounds = tuple(attrs.evolve(each, layer=names[each.layer]) for each in report.bounds)
    return attrs.evolve(report, layers=layers, graph=graph, findings=findings, bounds=bounds)


def written(folder: Path, page: str) -> Path:
    file = folder / "report.html"
    file.write_text(page, encoding="utf-8")
    return file


def test_the_browser_tells_what_a_page_says_on_its_console(tmp_path):
    file = written(tmp_path, "<script>undefined_function();</script>")
    _, console = chromium.run(file, "--dump-dom")
    assert len(console) == 1 and "undefined_function" in console[0]


def test_nothing_is_said_on_the_console(report, tmp_path):
    printed, console = chromium.run(written(tmp_path, render(report)), "--dump-dom")
    assert console == []
    # The script has run: the headings became buttons.
    assert "<button" in printed


@pytest.mark.parametrize("width", [400, 600, 880, 1280])
def test_the_page_never_scrolls_sideways(report, tmp_path, width):
    found, _ = chromium.ask(tmp_path, render(report), width, OVERFLOW)
    assert found["room"] >= width - 20
    assert found["wide"] <= found["room"], found["beyond"]


@pytest.mark.parametrize("width", [400, 1280])
def test_names_fold_instead_of_widening_the_page(long_names, tmp_path, width):
    found, _ = chromium.ask(tmp_path, render(long_names), width, OVERFLOW)
    assert found["wide"] <= found["room"], found["beyond"]


def test_hostile_names_run_nothing(report, tmp_path):
    page = render(renamed(report, " ".join(HOSTILE)))
    printed, console = chromium.run(written(tmp_path, page), "--dump-dom")
    assert console == []
    assert "<img" not in printed


def test_a_heading_sorts_the_table(report, tmp_path):
    found, console = chromium.ask(tmp_path, render(report), 1280, SORT)
    order = [layer.name for layer in report.layers]
    assert found["before"] == sorted(order, key=lambda name: report.layer(name).alone.snr)
    assert found["up"] == order
    assert found["down"] == order[::-1]
    assert found["said"] == "descending"
    assert console == []


def test_layers_in_trouble_are_open_and_buttons_open_all(report, tmp_path):
    found, _ = chromium.ask(tmp_path, render(report), 1280, FOLD)
    troubled = {each.layer for each in report.findings if not each.harmless}
    assert found["first"] == len(troubled)
    assert found["everything"] == found["layers"] == len(report.layers)
    assert found["nothing"] == 0


def test_a_link_to_a_folded_layer_opens_it(report, tmp_path):
    assert report.layers[0].name not in {each.layer for each in report.findings}
    file = written(tmp_path, render(report))
    linked = file.as_uri() + "#layer-0"
    script = tmp_path / "linked.html"
    script.write_text(f"<meta http-equiv='refresh' content='0; url={linked}'>", encoding="utf-8")
    printed, _ = chromium.run(script, "--dump-dom", "--virtual-time-budget=3000")
    start = printed.index('<div class="layer-body" id="layer-0">')
    opened = printed[printed.rindex("<details", 0, start) : start]
    assert " open" in opened.split(">")[0]


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext on PATH")
def test_everything_is_printed_also_what_is_folded(report, tmp_path):
    pdf = tmp_path / "page.pdf"
    chromium.run(written(tmp_path, render(report)), f"--print-to-pdf={pdf}")
    command = ["pdftotext", "-layout", str(pdf), "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert text.count("Largest possible partial sum") == len(report.layers)
