"""The commands, from a trained network to the proof."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from digits import DigitsModel, run_python

pytestmark = pytest.mark.caffe


def amct(digits, *arguments, check=True):
    return run_python(digits.folder, "-m", "amct_core", *arguments, check=check)


def write_solver(digits, **changes):
    from amct_caffe.demo import network

    text = network.solver_prototxt("anything.prototxt", "elsewhere", 20, 0.0002)
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (digits.folder / "solver.prototxt").write_text(text)


@pytest.fixture(scope="module")
def saved_once(trained_digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "work"
    shutil.copytree(trained_digits.folder, folder)
    digits = DigitsModel(folder)
    write_solver(digits)
    amct(
        digits, "qat", "run", digits.model, digits.weights, "--solver", "solver.prototxt", "-o", "q"
    )
    with np.load(folder / "test.npz") as arrays:
        np.savez(folder / "x.npz", data=arrays["data"][:120])
    return digits


@pytest.fixture
def saved(saved_once, tmp_path):
    """Return a copy of what ``amct qat run`` has written, which a test may change."""
    shutil.copytree(saved_once.folder, tmp_path / "work")
    return DigitsModel(tmp_path / "work")


def test_qat_run_writes_everything_into_the_folder(saved):
    names = {path.name for path in (saved.folder / "q").iterdir()}
    assert {
        "config.json",
        "modified_model.prototxt",
        "modified_model.caffemodel",
        "record.txt",
        "solver.prototxt",
        "result",
    } <= names


def test_verify_proves_that_nothing_differs(saved):
    result = amct(saved, "verify", "q/result/model", "--data", "x.npz", "--json")
    report = json.loads(result.stdout)
    assert report["exact_integers"] is True
    assert report["samples"] == 120
    assert [layer["name"] for layer in report["layers"]] == [
        "conv1",
        "conv2",
        "pool2",
        "ip1",
        "ip2",
    ]
    for layer in report["layers"]:
        assert layer["input_int8_mismatches"] == 0
        assert layer["accumulator_mismatches"] == 0
        assert layer["first_difference"] is None
    assert report["outputs"] == [{"blob": "prob", "mismatches": 0}]


def test_verify_finds_one_changed_weight_and_exits_with_1(saved):
    from amct_caffe.model.formats.caffemodel import reader, writer

    path = str(saved.folder / "q/result/model_deploy_weights.caffemodel")
    model = reader.read(path)
    changed = []
    for layer in model.layers:
        blobs = [np.array(blob) for blob in layer.blobs]
        if layer.name == "conv2":
            blobs[0].flat[0] ^= 1
        changed.append((layer.name, layer.type, blobs))
    with open(path, "wb") as stream:
        writer.write(stream, model.name, changed)
    result = amct(saved, "verify", "q/result/model", "--data", "x.npz", "--json", check=False)
    assert result.returncode == 1
    report = json.loads(result.stdout)
    assert (report["exact"], report["exact_integers"]) == (False, False)
    by_name = {layer["name"]: layer for layer in report["layers"]}
    assert by_name["conv1"]["accumulator_mismatches"] == 0
    assert by_name["conv2"]["accumulator_mismatches"] > 0
    assert by_name["conv2"]["first_difference"]["where"] == "accumulator"


def test_simulate_writes_the_outputs_and_any_blob(saved):
    amct(saved, "simulate", "q/result/model", "--data", "x.npz", "-o", "y.npz")
    with np.load(saved.folder / "y.npz") as arrays:
        assert arrays["prob"].shape == (120, 10)
        np.testing.assert_allclose(arrays["prob"].sum(axis=1), 1, rtol=1e-5)
    amct(
        saved,
        "simulate",
        "q/result/model",
        "--data",
        "x.npz",
        "-o",
        "y.npz",
        "--outputs",
        "conv2_0_quant_layer",
        "--outputs",
        "conv2_accumulator",
    )
    with np.load(saved.folder / "y.npz") as arrays:
        assert arrays["conv2_0_quant_layer"].dtype == np.int8
        assert arrays["conv2_accumulator"].dtype == np.int32


def test_qat_run_quantizes_what_the_options_leave(digits):
    write_solver(digits)
    run = ("qat", "run", digits.model, digits.weights, "--solver", "solver.prototxt", "-o", "q")
    changes = ("--skip", "conv1", "--set", "type:InnerProduct.retrain_data_config.init_algo=mse")
    amct(digits, *run, *changes)
    config = json.loads((digits.folder / "q/config.json").read_text())
    assert config["conv1"]["retrain_enable"] is False
    assert config["ip2"]["retrain_data_config"]["init_algo"] == "mse"
    assert '"conv1"' not in (digits.folder / "q/record.txt").read_text()
    # It is another run.
    other = amct(digits, *run, check=False)
    assert other.returncode == 1
    assert "changed since: changes to the config" in other.stderr


def test_a_solver_that_would_not_search_n_is_refused_before_training(digits):
    write_solver(digits, **{"test_interval: 20": "test_interval: 15"})
    result = amct(
        digits,
        "qat",
        "run",
        digits.model,
        digits.weights,
        "--solver",
        "solver.prototxt",
        "-o",
        "q",
        check=False,
    )
    assert result.returncode == 1
    assert "does not divide max_iter = 20" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (digits.folder / "q/modified_model.prototxt").exists()


def test_usage_errors_exit_with_2(digits):
    assert amct(digits, "verify", check=False).returncode == 2


def test_simulate_writes_an_onnx_model(saved):
    onnx = pytest.importorskip("onnx")
    amct(saved, "simulate", "q/result/model", "--onnx", "m.onnx")
    model = onnx.load(str(saved.folder / "m.onnx"))
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.output] == ["prob"]
    assert amct(saved, "simulate", "q/result/model", check=False).returncode == 2
