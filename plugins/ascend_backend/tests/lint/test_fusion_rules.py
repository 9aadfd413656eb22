"""What comes of merging: on which processors, and with which numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amct_core.numerics import ascend_v100
from plugins.ascend_backend.tests.lint.broken_models import CASES, Broken, Model, blob, words

FUSION = [case for case in CASES if "A110" <= case.rule <= "A118"]


def on(case: Broken, soc_version: str | None, folder: Path) -> dict[str, list[str]]:
    model = Model.whole()
    case.change(model)
    model.soc_version = soc_version
    return model.broken(folder)


@pytest.mark.parametrize("soc_version", ["Ascend310B1", "Ascend910B1", None])
@pytest.mark.parametrize("case", FUSION, ids=str)
def test_nothing_is_said_where_the_passes_do_not_run(case, soc_version, tmp_path: Path) -> None:
    assert case.rule not in on(case, soc_version, tmp_path)


@pytest.mark.parametrize("case", FUSION, ids=str)
def test_the_two_isas_have_rules_of_their_own(case: Broken, tmp_path: Path) -> None:
    of_v100 = case.rule in ("A115", "A116", "A117")
    assert (case.rule in on(case, "Ascend310", tmp_path)) == of_v100
    assert (case.rule in on(case, "Ascend310P3", tmp_path)) != of_v100


@pytest.mark.parametrize("case", [case for case in FUSION if case.layer != "fc_d"], ids=str)
def test_a_rolled_back_layer_has_no_dequant_to_merge(case: Broken, tmp_path: Path) -> None:
    """All convolutions get 16 input channels."""
    model = Model.whole()
    case.change(model)
    assert case.rule in model.broken(tmp_path)
    model.replace("dim: 32 dim: 8", "dim: 16 dim: 8")
    for name, size in (("conv", 7 if case.rule == "A117" else 3), ("left", 1), ("right", 1)):
        for entry in (entry for entry in model.entries if entry.name == name):
            outputs = 40 if case.rule == "A118" and name != "conv" else 32
            entry.blobs[0] = blob(np.ones((outputs, 16, size, size), np.int8))
    found = model.broken(tmp_path)
    assert "A092" in found and case.rule not in found


def test_a_quant_that_is_merged_needs_no_scale_of_float16(tmp_path: Path) -> None:
    for soc_version, rules in ((None, {"A052"}), ("Ascend310B1", {"A052", "A094"})):
        model = Model.whole()
        model.replace(r'scale: 25 offset: "\001"', r'scale: 65505 offset: "\001"')
        model.soc_version = soc_version
        assert set(model.broken(tmp_path)) == rules
    model.soc_version = "Ascend310P3"
    assert set(model.broken(tmp_path)) == {"A094"}


@pytest.mark.parametrize(
    ("soc_version", "parts"),
    [
        ("Ascend310P3", ["1 Quant layers in float16;"]),
        (
            "Ascend310",
            ["1 Quant layers in float16, and the offset of 3 that are merged with the DeQuant"],
        ),
        ("Ascend310B1", ["4 Quant layers in float16;"]),
    ],
)
def test_which_quants_compute_in_float16(
    soc_version: str, parts: list[str], tmp_path: Path
) -> None:
    """The whole model has four Quants, three of them behind a DeQuant."""
    model = Model.whole()
    model.soc_version = soc_version
    (message,) = model.broken(tmp_path)["A094"]
    assert all(part in message for part in parts)


def test_behind_a_relu6_a_quant_stays(tmp_path: Path) -> None:
    model = Model.whole()
    model.soc_version = "Ascend310P3"
    model.replace('type: "ReLU"', 'type: "ReLU6"')
    (message,) = model.broken(tmp_path)["A094"]
    assert "1 Quant layers in float16, and the offset of 1 that are merged" in message


def test_the_named_limit_is_where_the_arithmetic_saturates(tmp_path: Path) -> None:
    """The message of A117 against :mod:`amct_core.numerics.ascend_v100`."""
    model = Model.whole()
    next(case for case in CASES if case.rule == "A117").change(model)
    (message,) = model.broken(tmp_path)["A117"]
    stored = ascend_v100.scale(np.float32([1.2e-7]), 25)
    (y,) = ascend_v100.dequantize(np.int32([50_000_000]), stored, True, None)
    assert stored.sqrt_mode
    assert y < 126, "an exact 150 saturates below what the Quant with the offset 1 tells apart"
    limit = float(message.split(" or above")[0].split()[-1])
    assert y == pytest.approx(limit, rel=2e-3), "y is rounded to float16"


@pytest.mark.parametrize("kernel", [127, 30])
def test_accumulators_that_never_get_there_are_no_problem(kernel: int, tmp_path: Path) -> None:
    model = Model.whole()
    next(case for case in CASES if case.rule == "A117").change(model)
    model.entry("conv").blobs[0] = blob(np.full((32, 32, 7, 7), kernel, np.int8))
    assert ("A117" in model.broken(tmp_path)) == (kernel == 127)


def test_a_product_that_is_no_float32_stops_atc(tmp_path: Path) -> None:
    model = Model.whole()
    model.soc_version = "Ascend310"
    model.entry("conv_d").blobs = [blob(words(32, 3e38))]
    (message,) = model.broken(tmp_path)["A116"]
    assert "ATC stops (verified)" in message
