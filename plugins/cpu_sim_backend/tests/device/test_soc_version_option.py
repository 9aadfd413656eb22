"""``amct simulate --soc-version``: what it computes, and what it says about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from amct_core.errors import AmctError
from ascend_backend.targets import find_target
from cpu_sim_backend import Simulator, cli
from plugins.cpu_sim_backend.tests.integers.corrupting import Saved, save


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Return a saved network: 3, 4 and 3 channels go into its quantized layers."""
    return save(tmp_path)


def simulate(saved: Saved, *options: str) -> Dict[str, Any]:
    """Run ``amct simulate``; return what it wrote."""
    output = f"{saved.prefix}.npz"
    arguments = [saved.prefix, "--data", saved.data, "-o", output, *options]
    cli.simulate.main(arguments, "simulate", standalone_mode=False)
    with np.load(output) as file:
        return dict(file)


def files(saved: Saved) -> tuple[str, str]:
    return f"{saved.prefix}_deploy_model.prototxt", f"{saved.prefix}_deploy_weights.caffemodel"


def test_the_deviations_are_told_on_the_standard_error(saved: Saved, capsys: Any) -> None:
    simulate(saved, "--soc-version", "Ascend310P3")
    out, err = capsys.readouterr()
    assert "Ascend310P3" not in out
    assert err.splitlines()[0] == "Ascend310P3 (Atlas inference products (Ascend 310P)):"
    assert "layers rolled back to float16: computed in float16, 3 layers (verified;" in err
    assert "DeQuant and Quant: one operation from int32 to int8, 0 layers (verified)" in err
    assert "DeQuant: gives float16, 0 layers (verified)" in err
    assert "Quant: computed in float16, 0 layers (verified)" in err, "none is left"
    assert "deq_scale: not known; not cut (unknown)" in err
    assert "not simulated: The order in which float16 products are added is not public." in err


def test_without_a_soc_version_nothing_is_said(saved: Saved, capsys: Any) -> None:
    simulate(saved)
    assert "float16" not in capsys.readouterr().err


def test_json_has_status_and_source_of_each_fact(saved: Saved, capsys: Any) -> None:
    simulate(saved, "--soc-version", "Ascend310B1", "--json")
    report = json.loads(capsys.readouterr().out)["processor"]
    target = find_target("Ascend310B1")
    assert (report["soc_version"], report["family"]) == ("Ascend310B1", target.family.name)
    by_field = {deviation["field"]: deviation for deviation in report["deviations"]}
    assert set(by_field) == {
        "rolls_back",
        "merges",
        "dequantizes_to",
        "quantizes_in_fp16",
        "floats_in_fp16",
        "cuts_deq_scale",
        "honours_shift_n",
    }
    for field, fact in {
        "rolls_back": target.family.rolls_back,
        "merges": target.family.merges,
        "dequantizes_to": target.family.dequantizes_to,
        "quantizes_in_fp16": target.family.quantizes_in_fp16,
        "floats_in_fp16": target.family.floats_in_fp16,
        "cuts_deq_scale": target.family.cuts_deq_scale,
        "honours_shift_n": target.family.honours_shift_n,
    }.items():
        found = by_field[field]
        assert (found["value"], found["status"]) == (fact.value, fact.status)
        assert found["source"] == fact.source
    three = [f"{name}_dequant_layer" for name in ("one", "two", "three")]
    departs = {field for field, deviation in by_field.items() if deviation["departs"]}
    assert departs == {
        "dequantizes_to",
        "quantizes_in_fp16",
        "floats_in_fp16",
        "cuts_deq_scale",
        "honours_shift_n",
    }
    assert by_field["cuts_deq_scale"]["layers"] == three
    assert by_field["honours_shift_n"]["layers"] == three
    assert report["not_simulated"]


def test_the_command_computes_what_the_simulator_does(saved: Saved) -> None:
    found = simulate(saved, "--soc-version", "Ascend310")
    simulator = Simulator(*files(saved), soc_version="Ascend310")
    with np.load(saved.data) as file:
        expected = simulator.run({"data": file["data"]})
    np.testing.assert_allclose(found["prob"], expected["prob"], rtol=0, atol=1e-6)
    exact = simulate(saved)
    assert (found["prob"] != exact["prob"]).any()


def verify(saved: Saved, *options: str) -> int:
    """Run ``amct verify``; return its exit code."""
    arguments = [saved.prefix, "--data", saved.data, *options]
    with pytest.raises(SystemExit) as ended:
        cli.verify.main(arguments, "verify")
    return int(ended.value.code or 0)


def test_verify_shows_how_far_a_processor_departs(saved: Saved, capsys: Any) -> None:
    assert verify(saved, "--soc-version", "Ascend310B1", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    exact, device = (
        Simulator(*files(saved), soc_version=version) for version in (None, "Ascend310B1")
    )
    with np.load(saved.data) as file:
        data = {"data": file["data"]}
    for layer, deployed in zip(report["layers"], exact.quantized_layers):
        blob = deployed.quantized.name
        a, b = (each.run(data, [blob])[blob] for each in (exact, device))
        assert layer["name"] == deployed.name
        assert (layer["values"], layer["differing"]) == (a.size, int((a != b).sum()))
        assert layer["how"] == "int8"
    (output,) = report["outputs"]
    a, b = (each.run(data)["prob"] for each in (exact, device))
    assert output["differing"] == int((a != b).sum()) > 0
    assert output["places"] == len(a)
    assert report["processor"]["soc_version"] == "Ascend310B1"


def test_verify_names_what_is_rolled_back(saved: Saved, capsys: Any) -> None:
    assert verify(saved, "--soc-version", "Ascend310") == 0
    out = capsys.readouterr().out
    assert out.count("float16") > 3
    assert "layers rolled back to float16: computed in float16, 3 layers (verified;" in out


def test_verify_against_something_is_not_about_a_processor(saved: Saved, capsys: Any) -> None:
    assert verify(saved, "--soc-version", "Ascend310", "--against", "reference") == 2
    assert "give --soc-version or --against" in capsys.readouterr().err


def test_an_unknown_processor_lists_those_that_are_known(saved: Saved) -> None:
    with pytest.raises(AmctError, match="Ascend310P3"):
        Simulator(*files(saved), soc_version="ascend310p3")


def test_a_processor_that_rolls_everything_back_leaves_no_integers(saved: Saved) -> None:
    simulator = Simulator(*files(saved), soc_version="Ascend310")
    assert simulator.quantized_layers == ()
    assert len(Simulator(*files(saved)).quantized_layers) == 3


def test_an_onnx_model_of_a_processor_is_refused(saved: Saved, capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.simulate.main(
            [saved.prefix, "--onnx", f"{saved.prefix}.onnx", "--soc-version", "Ascend310"],
            "simulate",
        )
    assert ended.value.code == 2
    assert "leave --soc-version out" in capsys.readouterr().err
