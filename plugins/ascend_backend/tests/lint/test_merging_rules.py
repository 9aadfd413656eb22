"""Which Quants ATC merges, and where their offsets get lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.ascend_backend.tests.lint.broken_models import Model


def siblings(model: Model, scale: float, between: str = "") -> Model:
    """Let two Quants read what ``fc_d`` makes, with other offsets; return ``model``."""
    model.replace('bottom: "fc" top: "prob"', 'bottom: "first" top: "prob"')
    for name, factor, offset in (("first", 25, 1), ("second", scale, 2)):
        blob = "fc"
        if between:
            blob = f"{name}_relu"
            model.add(f'name: "{blob}" bottom: "fc" top: "{blob}" {between}')
        model.add(
            f'name: "{name}_q" type: "Quant" bottom: "{blob}" top: "{name}_q" '
            rf'quant_param {{ scale: {factor} offset: "\00{offset}" }}'
        )
        model.add(f'name: "{name}" type: "AntiQuant" bottom: "{name}_q" top: "{name}"')
    return model


@pytest.mark.parametrize(
    ("soc_version", "scale", "rule"),
    [
        ("Ascend310P3", 25.000009, "A079"),
        ("Ascend310P3", 25.00002, "A056"),
        ("Ascend310", 25, "A056"),
        (None, 25, "A056"),
    ],
)
def test_offsets_matter_where_scales_are_close_and_the_processor_merges(
    soc_version, scale: float, rule: str, tmp_path: Path
) -> None:
    model = siblings(Model.whole(), scale)
    model.soc_version = soc_version
    found = model.broken(tmp_path)
    (message,) = found.pop(rule)
    assert set(found) <= {"A094"}
    assert ("Ascend310P" in message) == (soc_version is None)


@pytest.mark.parametrize(
    ("between", "merged"),
    [
        ('type: "ReLU"', True),
        ('type: "LeakyReLU" relu_param { negative_slope: 0.1 }', False),
        ('type: "ReLU6"', False),
        ('type: "Sigmoid"', False),
    ],
)
def test_a_relu_of_its_own_lets_a_quant_be_merged(
    between: str, merged: bool, tmp_path: Path
) -> None:
    model = siblings(Model.whole(), 25, between)
    model.soc_version = "Ascend310P3"
    assert ("A079" in model.broken(tmp_path)) == merged


def test_a_float_reader_keeps_quants_apart(tmp_path: Path) -> None:
    model = siblings(Model.whole(), 25)
    model.add('name: "last" type: "Sigmoid" bottom: "fc" top: "last"')
    model.soc_version = "Ascend310P3"
    assert set(model.broken(tmp_path)) == {"A056", "A094"}
