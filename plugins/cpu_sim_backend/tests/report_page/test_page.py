"""What holds of the page of every report."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Tuple
from zipfile import ZipFile

import attrs
import pytest

from amct_core.errors import AmctError, EnvironmentUnsuitableError
from cpu_sim_backend.analysis.model import (
    ActivationReport,
    Change,
    Finding,
    Histogram,
    LearnedBounds,
    NetworkReport,
    SensitivityReport,
    Similarity,
)
from cpu_sim_backend.report_page import render
from plugins.cpu_sim_backend.tests.report_page import synthetic
from plugins.cpu_sim_backend.tests.report_page.parsed import Page

PLUGIN = Path(__file__).resolve().parents[2]
ROOM = PLUGIN / "cpu_sim_backend" / "report_page"
THREE_MEGABYTES = 3_000_000

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    '"><script>alert(1)</script>',
    "' onmouseover='alert(1)",
    "</style></script><b>",
    "&lt;&amp;",
    "{{ 7 * 7 }}{% raw %}",
    "http://example.com/a.js",
    "a" * 200,
    "层/слой/ლ",
)
"""Names that a prototxt may hold."""


@pytest.fixture(scope="module")
def report() -> NetworkReport:
    return synthetic.report(blocks=4, widest=96)


@pytest.fixture(scope="module")
def page(report: NetworkReport) -> Page:
    return Page(render(report))


def renamed(report: NetworkReport, name: str) -> NetworkReport:
    """Return a report that has ``name`` wherever a file can put words."""
    layers = [
        attrs.evolve(
            layer,
            name=name if index == 5 else layer.name,
            type=name,
            activation=attrs.evolve(layer.activation, blob=name),
            on_processor=(name,),
        )
        for index, layer in enumerate(report.layers)
    ]
    return attrs.evolve(
        report,
        prefix=name,
        data=name,
        verdict=name,
        soc_version=name,
        layers=tuple(layers),
        outputs=tuple(attrs.evolve(each, blob=name) for each in report.outputs),
        findings=(
            Finding(name, name, name, name, name, qat=Change(values=(("a.b", name),))),
            *(attrs.evolve(each, layer=name, cause=name) for each in report.findings),
        ),
        graph=tuple(
            attrs.evolve(each, name=name if index == 9 else each.name, type=name)
            for index, each in enumerate(report.graph)
        ),
        float_layers=((name, name),),
        bounds=(attrs.evolve(report.bounds[0], layer=name),),
    )


class TestContents:
    def test_it_is_a_document_from_its_first_character_on(self, report):
        assert render(report).startswith("<!DOCTYPE html>\n")

    def test_the_verdict_comes_before_everything_else(self, report, page):
        assert page.text.index(report.verdict) < page.text.index("What to change")

    def test_every_layer_has_a_section_and_a_line_in_the_table(self, report, page):
        sections = [each for each in page.values("id") if each.startswith("layer-")]
        assert len(set(sections) - {"layer-table"}) == len(report.layers)
        for layer in report.layers:
            assert layer.name in page.sections["layers"]
            assert layer.name in page.sections["details"]

    def test_every_layer_of_the_network_is_drawn(self, report, page):
        drawn = page.sections["network"]
        assert [node.name for node in report.graph if node.name not in drawn] == []

    def test_findings_come_in_the_order_of_the_report(self, report, page):
        told = page.sections["findings"] + page.sections["harmless"]
        places = [told.index(each.measured) for each in report.findings]
        assert places == sorted(places)

    def test_a_finding_tells_what_was_found_its_cost_and_its_cure(self, report, page):
        for finding in report.findings:
            told = page.sections["harmless" if finding.harmless else "findings"]
            for words in (finding.cause, finding.measured, finding.cost, finding.cure):
                assert words in told

    def test_a_harmless_finding_stands_in_a_section_of_its_own(self, page):
        assert "weights of 5 output channels" in page.sections["harmless"]
        assert "weights of 5 output channels" not in page.sections["findings"]

    def test_a_cure_is_said_in_the_words_of_the_configuration(self, page):
        assert '"retrain_data_config": {\n    "clip_max": ' in page.text
        assert '"fc1000": {\n  "retrain_enable": false\n}' in page.text
        assert '"fc1000": {\n  "quant_enable": false\n}' in page.text
        assert "amct qat config MODEL WEIGHTS --apply advice.json -o config.json" in page.text

    def test_the_commands_read_the_file_that_was_written_with_the_report(self, report):
        text = Page(render(report, "my cures/a.json")).text
        assert "with the advice in my cures/a.json:" in text
        assert "amct qat config MODEL WEIGHTS --apply 'my cures/a.json' -o config.json" in text
        assert "advice.json" not in text

    def test_a_setting_to_be_removed_is_named(self, report):
        change = Change(values=(("retrain_data_config.clip_max", None),))
        finding = attrs.evolve(report.findings[0], qat=change, ptq=None)
        text = Page(render(attrs.evolve(report, findings=(finding,)))).text
        assert f"remove {finding.layer}.retrain_data_config.clip_max" in text

    def test_the_table_has_the_worst_layer_first(self, report, page):
        names = page.sections["layers"]
        order = sorted(report.layers, key=lambda layer: layer.alone.snr)
        places = [names.index(f"{layer.name} {layer.type}") for layer in order]
        assert places == sorted(places)

    def test_the_number_of_samples_of_the_sensitivity_is_stated(self, page):
        assert "on 64 samples" in page.sections["sensitivity"]

    def test_a_report_without_anything_wrong_says_so(self, report):
        text = Page(render(attrs.evolve(report, findings=()))).text
        assert "Nothing: no layer was found" in text
        assert "advice.json" not in text

    def test_what_was_not_measured_has_no_section(self, report):
        layers = tuple(attrs.evolve(each, sensitivity=None) for each in report.layers)
        bare = attrs.evolve(
            report, layers=layers, sensitivity_samples=None, bounds=(), soc_version=None
        )
        page = Page(render(bare))
        assert not {"sensitivity", "bounds"} & set(page.sections)
        assert "Error alone" not in page.text

    def test_many_findings_of_one_cause_are_told_once(self, report):
        first = report.findings[0]
        many = tuple(attrs.evolve(first, layer=f"conv{number}") for number in range(40))
        told = Page(render(attrs.evolve(report, findings=many))).sections["findings"]
        assert "clipping in 40 layers" in told
        assert told.count(first.cure) == told.count(first.measured) == 1
        assert all(told.count(f'"conv{number}": ') == 2 for number in range(40))

    def test_of_many_lines_on_one_cause_the_first_are_seen_and_all_are_there(self, report):
        many = tuple(
            attrs.evolve(report.findings[0], layer=f"conv{number}", measured=f"Found {number}.")
            for number in range(40)
        )
        told = Page(render(attrs.evolve(report, findings=many))).sections["findings"]
        assert "34 more layers" in told
        assert all(f"conv{number}: Found {number}." in told for number in range(40))

    def test_findings_of_one_cause_with_other_cures_are_told_one_by_one(self, report):
        first = report.findings[0]
        second = attrs.evolve(first, layer="conv1", cure="Something else.")
        told = Page(render(attrs.evolve(report, findings=(first, second)))).sections["findings"]
        assert f"clipping in {first.layer}" in told
        assert "clipping in conv1" in told

    def test_what_a_finding_says_of_the_processor_is_not_said_twice(self, report):
        words = "Rolled back to float16: its input has 3 channels."
        layer = attrs.evolve(report.layers[0], on_processor=(words, "Merged with its ReLU."))
        finding = attrs.evolve(report.findings[0], layer=layer.name, measured=words)
        bare = attrs.evolve(report, layers=(layer,), findings=(finding,))
        details = Page(render(bare)).sections["details"]
        assert details.count(words) == 1
        assert "Merged with its ReLU." in details

    def test_a_report_without_a_layer_is_a_page(self, report):
        empty = NetworkReport("p", "d", 0, "Nothing is quantized.", (), (), (), ())
        assert "Nothing is quantized." in Page(render(empty)).text


class TestFurtherNumbers:
    """Numbers that a report may have or not."""

    def test_how_it_was_measured_is_said_at_the_end(self, report):
        @attrs.frozen
        class Noted(NetworkReport):
            notes: Tuple[str, ...] = ()

        known = {field.name: getattr(report, field.name) for field in attrs.fields(NetworkReport)}
        noted = Noted(**{**known, "notes": ("the float network is the trained one",)})
        assert "The float network is the trained one." in Page(render(noted)).sections["terms"]
        assert "How it was measured" not in Page(render(report)).text

    def test_better_bounds_are_told_where_they_are_known(self, report):
        @attrs.frozen
        class Measured(ActivationReport):
            clipping_snr: float = math.inf
            rounding_snr: float = 41.5
            best_min: float = 0.0
            best_max: float = 3.25
            gain: float = 6.0

        layer = report.layers[0]
        known = {
            field.name: getattr(layer.activation, field.name)
            for field in attrs.fields(ActivationReport)
            if field.name not in {each.name for each in attrs.fields(Measured)[-5:]}
        }
        measured = attrs.evolve(layer, activation=Measured(**known))
        text = Page(render(attrs.evolve(report, layers=(measured,)))).sections["details"]
        assert "0 to 3.25: 6.0 dB better" in text
        assert "Clipping aloneno difference" in text
        assert "Rounding alone41.5 dB" in text


class TestNumbers:
    @pytest.mark.parametrize(
        ("snr", "words"),
        [(math.inf, "no difference"), (-math.inf, "no signal left"), (math.nan, "no signal")],
    )
    def test_a_ratio_that_is_no_number_is_said_in_words(self, report, snr, words):
        similarity = Similarity(snr, math.nan)
        layers = tuple(attrs.evolve(each, alone=similarity) for each in report.layers)
        text = Page(render(attrs.evolve(report, layers=layers))).text
        assert f"{words} alone" in text
        assert "not defined" in text

    def test_no_nan_or_infinity_reaches_the_page(self, report):
        nan, inf = math.nan, math.inf
        layer = report.layers[0]
        broken = attrs.evolve(
            layer,
            alone=Similarity(nan, nan),
            accumulated=Similarity(-inf, nan),
            activation=attrs.evolve(
                layer.activation,
                scale=inf,
                clip_min=-inf,
                clip_max=nan,
                lowest=-inf,
                highest=inf,
                clipped=nan,
                histogram=Histogram(0.0, 1.0, (1, 2, 3)),
            ),
            weights=attrs.evolve(
                layer.weights,
                scales=(inf,) * len(layer.weights.lowest),
                lowest=(nan, -inf, *layer.weights.lowest[2:]),
            ),
            sensitivity=SensitivityReport(nan, inf),
        )
        learned = LearnedBounds("conv1", (0, 10, 20), (-1.0, nan, -inf), (1.0, inf, nan))
        report = attrs.evolve(report, layers=(broken, *report.layers[1:]), bounds=(learned,))
        page = Page(render(report))
        assert re.search(r"\b(nan|inf|-inf|NaN)\b", page.text) is None
        assert "not a number" in page.text and "infinite" in page.text
        assert "From iteration 10 on, a bound is no finite number." in page.text
        for attribute in ("d", "style"):
            assert not any(re.search("nan|inf", each) for each in page.values(attribute))

    @pytest.mark.parametrize(
        ("counts", "low", "high", "words"),
        [
            ((0, 0), 0.0, 1.0, "No finite value was seen"),
            ((5,), 2.0, 2.0, "All values are 2"),
        ],
    )
    def test_a_histogram_that_cannot_be_drawn_says_why(self, report, counts, low, high, words):
        layer = report.layers[0]
        flat = attrs.evolve(layer.activation, histogram=Histogram(low, high, counts))
        report = attrs.evolve(report, layers=(attrs.evolve(layer, activation=flat),))
        assert words in Page(render(report)).text

    def test_a_layer_without_weights_has_no_drawing_of_them(self, report):
        pooling = attrs.evolve(report.layers[0], type="Pooling", weights=None)
        text = Page(render(attrs.evolve(report, layers=(pooling,)))).text
        assert "Weights of each output channel" not in text


class TestNamesOfFiles:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_a_name_is_text_and_nothing_else(self, report, name):
        page = Page(render(renamed(report, name)))
        assert page.count("script") == 1
        assert page.count("img") == 0
        assert not [each for _, a in page.elements for each in a if each.startswith("on")]
        plain = Page(render(renamed(report, "plainword")))
        assert page.text.count(name) == plain.text.count("plainword") > 20

    def test_characters_that_cannot_be_read_or_stored_are_shown_as_codes(self, report):
        page = render(renamed(report, "a\x00b\x1b[31m\u202ec\udc80"))
        assert "a\\x00b\\x1b[31m\\u202ec\\udc80" in Page(page).text
        page.encode("utf-8")

    def test_two_layers_of_one_name_have_sections_of_their_own(self, report):
        twice = attrs.evolve(report, layers=(report.layers[0], report.layers[0]))
        identifiers = Page(render(twice)).values("id")
        assert len(identifiers) == len(set(identifiers))


class TestSelfContained:
    def test_nothing_is_loaded_from_anywhere(self, page):
        assert page.values("src") == []
        assert page.count("img") == page.count("iframe") == page.count("object") == 0
        targets = page.values("href")
        assert [each for each in targets if not each.startswith("#")] == ["data:,"]
        page_source = (ROOM / "templates" / "style.css").read_text(encoding="utf-8")
        assert "url(" not in page_source and "@import" not in page_source

    def test_no_address_of_the_web_is_in_the_page(self, report):
        assert re.search(r"https?:|//[a-z]", render(report)) is None

    def test_every_link_has_a_target(self, page):
        identifiers = page.values("id")
        assert len(identifiers) == len(set(identifiers))
        links = {each[1:] for each in page.values("href") if each.startswith("#")}
        assert links - set(identifiers) == set()

    def test_the_policy_allows_the_own_script_alone(self, report):
        text = render(report)
        script = text[text.index("<script>") + 8 : text.index("</script>")]
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = next(each for each in Page(text).values("content") if "default-src" in each)
        assert "default-src 'none'" in policy
        assert f"script-src 'sha256-{digest}'" in policy

    def test_the_same_report_is_the_same_page(self, report):
        assert render(report) == render(attrs.evolve(report))

    def test_a_page_of_sixty_wide_layers_is_under_three_megabytes(self):
        report = synthetic.report(blocks=18, widest=2048, points=2000)
        widest = [each for each in report.layers if each.weights and len(each.weights.used) == 2048]
        assert len(report.layers) >= 60 and len(widest) >= 15
        every = range(0, 2048, 2)
        layers = tuple(
            attrs.evolve(each, weights=attrs.evolve(each.weights, dead=tuple(every)))
            if each in widest
            else each
            for each in report.layers
        )
        page = render(attrs.evolve(report, layers=layers))
        assert len(page.encode()) < THREE_MEGABYTES
        assert "Each bar is 8 neighbouring channels" in page


class TestInstallation:
    def test_without_jinja2_the_error_names_what_to_install(self, report, monkeypatch):
        monkeypatch.setitem(sys.modules, "jinja2", None)
        with pytest.raises(EnvironmentUnsuitableError, match=r"pip install .*\[report\]") as error:
            render(report)
        assert isinstance(error.value, AmctError)

    def test_the_room_is_imported_without_jinja2(self):
        code = "import sys, cpu_sim_backend.report_page as r; print('jinja2' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout.strip() == "False", done.stderr

    def test_the_templates_are_in_the_wheel(self, tmp_path):
        pytest.importorskip("hatchling")
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
        subprocess.run(command, cwd=PLUGIN, check=True, capture_output=True)
        (wheel,) = tmp_path.glob("*.whl")
        packed = set(ZipFile(wheel).namelist())
        templates = [path for path in (ROOM / "templates").iterdir() if path.is_file()]
        assert len(templates) > 5
        wanted = {path.relative_to(PLUGIN).as_posix() for path in templates}
        assert wanted <= packed
