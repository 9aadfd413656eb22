"""``amct verify`` finds one wrong number in a deployable model, and says where it shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest
from numpy.typing import NDArray

from cpu_sim_backend.engines import chosen_engine
from plugins.cpu_sim_backend.tests.integers.corrupting import Saved, save

pytestmark = pytest.mark.caffe

Blobs = Dict[str, List[NDArray[Any]]]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Return a saved network of three layers."""
    return save(tmp_path)


def one_weight(blobs: Blobs) -> None:
    blobs["two"][0][1, 2] ^= 1


def one_bias(blobs: Blobs) -> None:
    blobs["two"][1][1] += 5000


def one_scale(blobs: Blobs) -> None:
    blobs["two_dequant_layer"][0][1] += np.uint64(2**22)  # up to half as large again


def one_shift(blobs: Blobs) -> None:
    blobs["two_dequant_layer"][0][1] += np.uint64(2**34)


def test_undamaged_files_are_exact(saved: Saved, capsys: Any) -> None:
    verified = saved.verify(capsys)
    assert verified.exit_code == 0
    assert verified.report["exact"] is True


def test_the_report_has_the_documented_shape(saved: Saved, capsys: Any) -> None:
    report = saved.verify(capsys).report
    assert {"exact", "compared", "samples", "layers", "outputs"} <= set(report)
    assert {"exact_integers", "missing_layers", "inexact_float_layers", "fed_layers"} <= set(report)
    assert (report["missing_layers"], report["fed_layers"]) == ([], [])
    assert report["inexact_float_layers"] == ["prob"]
    assert report["compared"] == f"fake-quant in Caffe with the {chosen_engine('auto')} engine"
    assert report["samples"] == 4
    assert [layer["name"] for layer in report["layers"]] == ["one", "two", "three"]
    for layer in report["layers"]:
        assert {
            "name",
            "input_int8_mismatches",
            "accumulator_mismatches",
            "max_abs_partial_sum_bound",
            "int16_saturated",
            "first_difference",
        } <= set(layer)
        assert layer["first_difference"] is None
    assert report["outputs"] == [{"blob": "prob", "mismatches": 0}]


@pytest.mark.parametrize("options", [[], ["--engine", "reference"], ["--batch-size", "3"]])
def test_a_wrong_weight_shows_in_its_layers_accumulators(
    saved: Saved, capsys: Any, options: List[str]
) -> None:
    saved.damage(one_weight)
    verified = saved.verify(capsys, *options)
    assert (verified.exit_code, verified.report["exact"]) == (1, False)
    assert verified.layer("one")["first_difference"] is None
    layer = verified.layer("two")
    assert layer["input_int8_mismatches"] == 0
    assert layer["accumulator_mismatches"] > 0
    first = layer["first_difference"]
    sample, channel, row, column = first["index"]
    assert (first["where"], channel) == ("accumulator", 1)
    assert 0 <= sample < 4 and 0 <= row < 6 and 0 <= column < 6
    assert 0 < abs(first["simulated"] - first["framework"]) <= 255, "one step of a weight"


def test_samples_are_counted_through_all_batches(saved: Saved, capsys: Any) -> None:
    with np.load(saved.data) as file:
        data = file["data"].copy()
    saved.damage(one_weight)
    data[:3] = 0
    np.savez(saved.data, data=data)
    whole = saved.verify(capsys).layer("two")["first_difference"]
    in_parts = saved.verify(capsys, "--batch-size", "1").layer("two")["first_difference"]
    assert whole == in_parts


FACTORS = {"bias": one_bias, "deq_scale": one_scale, "shift_n": one_shift}


@pytest.mark.parametrize("field", FACTORS)
def test_a_wrong_factor_is_named_and_shows_in_the_inputs_of_the_next_layer(
    saved: Saved, capsys: Any, field: str
) -> None:
    saved.damage(FACTORS[field])
    verified = saved.verify(capsys)
    assert (verified.exit_code, verified.report["exact"]) == (1, False)
    first = verified.layer("two")["first_difference"]
    assert (first["where"], first["index"]) == (field, [1])
    assert verified.layer("two")["factor_mismatches"] == 1
    following = verified.layer("three")
    assert following["input_int8_mismatches"] > 0
    assert following["first_difference"]["where"] == "input"
    assert following["first_difference"]["index"][1] == 1
    assert following["accumulator_mismatches"] == 0, "judged on the same inputs"
    assert verified.report["outputs"][0]["mismatches"] > 0


@pytest.mark.parametrize("field", FACTORS)
def test_no_float_layer_before_it_excuses_a_wrong_factor(
    tmp_path: Path, capsys: Any, field: str
) -> None:
    saved = save(tmp_path, with_norm=True)
    assert saved.verify(capsys).exit_code == 0
    saved.damage(FACTORS[field])
    verified = saved.verify(capsys)
    assert (verified.exit_code, verified.report["exact"]) == (1, False)
    layer = verified.layer("two")
    assert layer["inexact_upstream"] == ["norm"]
    assert layer["first_difference"]["where"] == field


def test_the_last_bit_of_the_last_scale_counts(saved: Saved, capsys: Any) -> None:
    def last_bit(blobs: Blobs) -> None:
        blobs["three_dequant_layer"][0][0] ^= np.uint64(1)

    saved.damage(last_bit)
    verified = saved.verify(capsys)
    assert verified.exit_code == 1
    first = verified.layer("three")["first_difference"]
    assert (first["where"], first["index"]) == ("deq_scale", [0])
    assert np.float32(first["simulated"]) != np.float32(first["framework"])


@pytest.mark.parametrize(
    ("field", "old", "new"),
    [("scale", "scale: 127.499992", "scale: 127.5"), ("offset", r'"\200"', r'"\201"')],
)
def test_a_wrong_quant_is_named(
    tmp_path: Path, capsys: Any, field: str, old: str, new: str
) -> None:
    saved = save(tmp_path, with_norm=True)
    model = Path(f"{saved.prefix}_deploy_model.prototxt")
    head, quant, tail = model.read_text().partition('name: "two_0_quant_layer"')
    assert old in tail.split("}")[0]
    model.write_text(head + quant + tail.replace(old, new, 1))
    verified = saved.verify(capsys)
    assert verified.exit_code == 1
    first = verified.layer("two")["first_difference"]
    assert (first["where"], first["index"]) == (field, [0])
