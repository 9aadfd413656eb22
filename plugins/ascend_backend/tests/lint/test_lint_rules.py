"""Every rule finds the models that break it, and them only."""

from __future__ import annotations

from pathlib import Path

import pytest

from ascend_backend.lint import RULES, find
from ascend_backend.lint.rule import PAGES
from plugins.ascend_backend.tests.lint.broken_models import (
    CASES,
    DETECTIONS,
    Broken,
    Model,
    blob,
    detection,
    words,
)


def test_the_whole_model_breaks_no_rule(tmp_path: Path) -> None:
    assert find(Model.whole().read(tmp_path)) == ()


@pytest.mark.parametrize("kind", DETECTIONS)
def test_a_whole_detection_output_breaks_no_rule(kind: str, tmp_path: Path) -> None:
    model = Model.whole()
    detection(model, kind)
    assert find(model.read(tmp_path)) == ()


@pytest.mark.parametrize(
    ("kind", "whole", "name", "accepted", "refused"),
    [
        ("SSDDetectionOutput", "num_classes: 21", "num_classes", (1, 1024), (0, 1025)),
        ("SSDDetectionOutput", "background_label_id: 0", "background_label_id", (-1, 20), (-2, 21)),
        ("SSDDetectionOutput", "iou_threshold: 0.45", "iou_threshold", (0.01, 1), (0, 1.01)),
        ("SSDDetectionOutput", "top_k: 400", "top_k", (1, 1024), (0, 6001)),
        ("SSDDetectionOutput", "code_type: 2", "code_type", (1, 3), (0, 4)),
        ("SSDDetectionOutput", "keep_top_k: 200", "keep_top_k", (-1, 1, 1024), (-2, 0, 1025)),
        (
            "SSDDetectionOutput",
            "confidence_threshold: 0.01",
            "confidence_threshold",
            (0, 1),
            (-0.1, 1.1),
        ),
        ("YoloV2DetectionOutput", "classes: 20", "classes", (1, 1024), (0, 1025)),
        ("YoloV2DetectionOutput", "pre_nms_topn: 512", "pre_nms_topn", (1, 1024), (0, 1025)),
        ("YoloV3DetectionOutput", "post_nms_topn: 1024", "post_nms_topn", (1, 1024), (0, 1025)),
    ],
)
def test_the_values_of_a_detection_output_are_those_of_its_operator(
    kind: str,
    whole: str,
    name: str,
    accepted: tuple[float, ...],
    refused: tuple[float, ...],
    tmp_path: Path,
) -> None:
    def broken(value: float) -> list[str]:
        model = Model.whole()
        # One class has no background beside it.
        other = ("background_label_id: 0", "background_label_id: -1")
        changes = [other] if name == "num_classes" else []
        detection(model, kind, *changes, (whole, f"{name}: {value}"))
        return [each.rule.id for each in find(model.read(tmp_path))]

    assert {value: broken(value) for value in accepted} == {value: [] for value in accepted}
    assert {value: broken(value) for value in refused} == {value: ["A106"] for value in refused}


@pytest.mark.parametrize(("top_k", "rules"), [(1025, ["A108"]), (6000, ["A108"])])
def test_between_the_documentation_and_the_operator_lies_a_warning(
    top_k: int, rules: list[str], tmp_path: Path
) -> None:
    model = Model.whole()
    detection(model, "SSDDetectionOutput", ("top_k: 400", f"top_k: {top_k}"))
    assert [each.rule.id for each in find(model.read(tmp_path))] == rules


def test_a_network_with_two_yolo_layers_breaks_no_rule(tmp_path: Path) -> None:
    model = Model.whole()
    low = ("biases_low: 116 biases_low: 90", "")
    detection(model, "YoloV3DetectionOutput", low, bottoms=7)
    assert find(model.read(tmp_path)) == ()


def test_a_detection_output_of_which_only_the_type_was_changed_is_wrong_in_all_it_keeps(
    tmp_path: Path,
) -> None:
    model = Model.whole()
    model.add(
        'name: "boxes" type: "SSDDetectionOutput" bottom: "prob" bottom: "prob" bottom: "prob" '
        'top: "boxes" detection_output_param { num_classes: 21 code_type: CENTER_SIZE }'
    )
    assert [each.rule.id for each in find(model.read(tmp_path))] == ["A100", "A102"]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_is_broken_alone_and_names_the_layer(case: Broken, tmp_path: Path) -> None:
    model = Model.whole()
    case.change(model)
    found = [each for each in find(model.read(tmp_path)) if each.rule.id not in case.beside]
    assert [(each.rule.id, each.problem.layer) for each in found] == [(case.rule, case.layer)]


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == {rule.id for rule in RULES}


def test_ids_are_unique_and_in_order() -> None:
    ids = [rule.id for rule in RULES]
    assert ids == sorted(set(ids))


def test_there_is_a_page_for_each_rule_and_no_other() -> None:
    assert {path.stem for path in PAGES.iterdir()} == {rule.id for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_page_tells_what_atc_does_why_what_to_do_and_the_source(rule) -> None:
    first, *rest = rule.page().splitlines()
    assert first == f"# {rule.id}: {rule.title}"
    assert f"Severity: {rule.severity}" in rest
    headings = [line for line in rest if line.startswith("#")]
    assert headings == ["## What ATC does", "## Why", "## What to do", "## Source"]
    assert rest[-1].startswith("* ")


def test_a_model_that_our_first_versions_saved_is_recognised(tmp_path: Path) -> None:
    model = Model.whole()
    for entry in model.entries:
        entry.bottoms = []
    found = find(model.read(tmp_path))
    assert [each.rule.id for each in found] == ["A042"] * len(model.entries)
    assert all("first versions" in each.problem.message for each in found)
    told = {each.problem.layer: each.problem.message for each in found}
    assert "input 1 ('deq_scale') unlinked and stops with E11019" in told["fc_d"]
    assert "lands on input 0 ('x'), which is for the data" in told["fc"]
    assert "input 1 ('filter') unlinked" in told["up"], "without a bias the filter is the only blob"
    assert "without training" in found[0].rule.fix


def test_several_faults_are_all_found(tmp_path: Path) -> None:
    model = Model.whole()
    model.replace('name: "prob"', 'name: "pr ob"')
    model.entry("fc_d").blobs = [blob(words(1, 0.0, n=17))]
    assert [each.rule.id for each in find(model.read(tmp_path))] == ["A003", "A082", "A085"]


@pytest.mark.parametrize(
    ("soc_version", "words"),
    [
        (None, "ATC turns quantized layers with at most 16 back into float16."),
        ("Ascend310P3", "ATC for Ascend310P3 turns quantized layers with at most 16 back into"),
        ("Ascend310P3", "float16 (verified)."),
        ("Ascend310B1", "ATC for Ascend310B1 may turn quantized layers with at most 16 back into"),
        ("Ascend310B1", "float16 (unknown)."),
    ],
)
def test_what_is_not_known_of_a_processor_is_said(soc_version, words, tmp_path: Path) -> None:
    model = Model.whole()
    next(case for case in CASES if case.rule == "A092").change(model)
    model.soc_version = soc_version
    (message,) = model.broken(tmp_path)["A092"]
    assert words in message


def test_a_layer_that_shares_all_names_needs_no_blobs_of_its_own(tmp_path: Path) -> None:
    model = Model.whole()
    next(case for case in CASES if case.rule == "A041").change(model)
    model.entries.remove(model.entry("b"))
    assert find(model.read(tmp_path)) == ()


@pytest.mark.parametrize(("soc_version", "broken"), [("Ascend310P3", True), ("Ascend310", False)])
def test_windows_that_are_cut_off_count_on_v200_alone(soc_version, broken, tmp_path: Path) -> None:
    model = Model.whole()
    model.replace("AVE kernel_size: 2 stride: 2", "AVE kernel_size: 3 stride: 2")
    model.soc_version = soc_version
    found = [each.problem for each in find(model.read(tmp_path)) if each.rule.id == "A095"]
    assert bool(found) == broken
    assert all("areas from 4 to 9" in problem.message for problem in found)
