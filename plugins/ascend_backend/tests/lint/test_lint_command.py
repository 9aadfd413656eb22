"""``amct lint``: what it prints, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from amct_core.cli.main import cli
from plugins.ascend_backend.tests.lint.broken_models import Model, detection


def amct(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["lint", *arguments])


def written(folder: Path, *changes: tuple[str, str]) -> str:
    model = Model.whole()
    for old, new in changes:
        model.replace(old, new)
    model.write(folder)
    return str(folder / "m")


ERROR = ('name: "prob"', 'name: "pr ob"')
WARNING = (r'scale: 12.5 offset: "\200"', "scale: 12.5")


def test_a_clean_model_exits_with_0(tmp_path: Path) -> None:
    result = amct(written(tmp_path))
    assert (result.exit_code, result.stdout) == (0, "0 errors, 0 warnings\n")


def test_warnings_exit_with_0(tmp_path: Path) -> None:
    result = amct(written(tmp_path, WARNING))
    assert result.exit_code == 0
    assert "A054" in result.stdout and "0 errors, 1 warnings" in result.stdout


def test_a_rule_is_explained_once_and_layers_of_one_kind_stand_together(tmp_path: Path) -> None:
    names = [f"clip{number}" for number in range(40)]
    layers = "".join(
        f'layer {{ name: "{name}" type: "Clip" bottom: "prob" top: "{name}" }}\n' for name in names
    )
    prefix = written(tmp_path, WARNING, ("", layers))
    printed = amct(prefix).stdout
    assert printed.count("ATC has no plugin for a layer type") == 1
    assert printed.count("Fix: Replace the layer") == 1
    assert printed.count("'Clip'") == 1 and "40 layers (type): " in printed
    assert [word.strip(",") for word in printed.split() if word.startswith("clip")] == names
    assert len(printed.splitlines()) < 20
    assert printed.index("error A014") < printed.index("warning A054"), "errors come first"
    assert len(json.loads(amct(prefix, "--json").stdout)["findings"]) == 41


@pytest.mark.parametrize("columns", ["60", "80"])
def test_long_names_are_whole_on_a_narrow_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    names = [f"inception_4{letter}/double3x3_reduce/clipped" for letter in "abcdefgh"]
    layers = "".join(
        f'layer {{ name: "{name}" type: "Clip" bottom: "prob" top: "{name}" }}\n' for name in names
    )
    lines = amct(written(tmp_path, ("", layers))).stdout.splitlines()
    assert max(map(len, lines)) <= int(columns)
    words = (word.strip(",") for line in lines for word in line.split())
    assert [word for word in words if word.startswith("inception")] == names


def test_different_places_of_a_rule_have_a_line_each(tmp_path: Path) -> None:
    scales = [(rf'scale: 25 offset: "\00{n}"', rf'scale: -{n} offset: "\00{n}"') for n in (1, 2)]
    printed = amct(written(tmp_path, *scales)).stdout
    assert printed.splitlines()[:4] == [
        "error A051: The scale of a Quant is not a positive number",
        "  Fix: Calibrate the layer's input again, or leave the layer unquantized.",
        "    up_q (quant_param.scale): its scale is -1.0; expected a positive number.",
        "    pool_q (quant_param.scale): its scale is -2.0; expected a positive number.",
    ]


def test_names_with_brackets_are_shown_as_they_are(tmp_path: Path) -> None:
    result = amct(written(tmp_path, ('name: "prob"', 'name: "[red]prob"')))
    assert "    [red]prob (name): " in result.stdout


def test_a_custom_operator_is_named_on_the_command_line(tmp_path: Path) -> None:
    layer = 'layer { name: "clip" type: "Clip" bottom: "prob" top: "clip" }\n'
    prefix = written(tmp_path, ("", layer))
    assert amct(prefix).exit_code == 1
    named = amct(prefix, "--custom-op", "Other", "--custom-op", "Clip")
    assert (named.exit_code, named.stdout) == (0, "0 errors, 0 warnings\n")


def test_errors_exit_with_1_and_tell_layer_and_fix(tmp_path: Path) -> None:
    result = amct(written(tmp_path, ERROR, WARNING))
    assert result.exit_code == 1
    assert "pr ob" in result.stdout and "Rename the layer" in result.stdout
    assert "1 errors, 1 warnings" in result.stdout


def test_json_has_stable_keys(tmp_path: Path) -> None:
    prefix = written(tmp_path, ERROR)
    result = amct(prefix, "--json", "--soc-version", "Ascend910B1")
    document = json.loads(result.stdout)
    findings = document.pop("findings")
    assert document == {
        "model": f"{prefix}_deploy_model.prototxt",
        "weights": f"{prefix}_deploy_weights.caffemodel",
        "soc_version": "Ascend910B1",
        "errors": 2,
        "warnings": 0,
    }
    assert [finding["rule"] for finding in findings] == ["A003", "A090"]
    keys = {"rule", "severity", "title", "layer", "field", "message", "fix"}
    assert all(set(finding) == keys for finding in findings)


def test_any_model_can_be_named(tmp_path: Path) -> None:
    model, weights = Model.whole().write(tmp_path)
    assert amct("--model", model, "--weights", weights).exit_code == 0


def test_types_are_read_as_the_map_of_atc_says(tmp_path: Path) -> None:
    model = Model.whole()
    detection(model, "SSDDetectionOutput", ('"SSDDetectionOutput"', '"DetectionOutput"'))
    model.write(tmp_path)
    prefix = str(tmp_path / "m")
    op_names = tmp_path / "map.cfg"
    op_names.write_text("DetectionOutput:SSDDetectionOutput\n")
    assert "A015" in amct(prefix).stdout
    assert amct(prefix, "--op-name-map", str(op_names)).stdout == "0 errors, 0 warnings\n"


def test_explain_prints_the_page_of_a_rule() -> None:
    result = amct("--explain", "a032")
    assert result.exit_code == 0
    assert result.stdout.startswith("# A032: ") and "E11033" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--model", "m.prototxt"),
        ("prefix", "--soc-version", "Ascend301"),
        ("--explain", "A999"),
        ("prefix", "--unknown"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    assert amct(*arguments).exit_code == 2


def test_files_that_cannot_be_read_are_errors_that_name_them(tmp_path: Path) -> None:
    prefix = str(tmp_path / "nothing")
    result = CliRunner().invoke(cli, ["lint", prefix])
    assert result.exit_code == 1
    assert f"{prefix}_deploy_model.prototxt" in result.output


def test_a_damaged_weights_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    model, weights = Model.whole().write(tmp_path)
    Path(weights).write_bytes(Path(weights).read_bytes()[:-5])
    result = amct("--model", model, "--weights", weights)
    assert result.exit_code == 1
    assert weights in result.output
