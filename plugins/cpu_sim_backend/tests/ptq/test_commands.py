"""``amct ptq calibrate`` and ``amct ptq run`` in the simulator; these need no Caffe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from amct_caffe.model.formats.caffemodel import writer
from amct_core import record as records
from amct_core.cli.main import cli
from amct_core.config import ptq_json
from amct_core.graph import Value
from amct_core.plugins import registries
from amct_core.ptq import workflow
from amct_core.ptq.calibration import calibrate
from amct_core.ptq.plan import make_plan
from cpu_sim_backend import Simulator
from cpu_sim_backend.ptq import SimulatorEngine
from cpu_sim_backend.ptq.calibrating import difference
from cpu_sim_backend.verify import verify

FILES = "net.prototxt", "net.caffemodel"
DEPLOYED = "model.prototxt", "weights.caffemodel"

NETWORK = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with a network, a config of three batches, and six samples."""
    monkeypatch.chdir(tmp_path)
    Path(FILES[0]).write_text(NETWORK)
    write_weights(FILES[1])
    np.savez("x.npz", data=samples(6))
    assert amct("ptq", "config", *FILES, "-o", "c.json", "--batch-num", "3")[0] == 0
    return tmp_path


def write_weights(path: str) -> None:
    generator = np.random.default_rng(3)
    shapes = [("conv", "Convolution", (4, 3, 3, 3)), ("ip", "InnerProduct", (5, 4 * 6 * 6))]
    layers = [
        (name, kind, [generator.normal(size=each).astype("f") for each in (shape, shape[:1])])
        for name, kind, shape in shapes
    ]
    with open(path, "wb") as stream:
        writer.write(stream, "net", layers)


def samples(count: int) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(count, 3, 8, 8)).astype(np.float32)


def amct(*arguments: str) -> tuple[int, str]:
    """Run ``amct``; return the exit status and what it printed."""
    done = CliRunner().invoke(cli, arguments, prog_name="amct")
    shown = done.output if done.exception is None else f"{done.output}{done.exception}"
    return done.exit_code, " ".join(shown.split())


def calibrated(*options: str) -> tuple[int, str]:
    simulator = ("--engine", "simulator")
    return amct("ptq", "calibrate", *FILES, "-c", "c.json", "-o", "out", *simulator, *options)


def test_the_record_is_what_the_calibrators_find_in_what_the_layers_read(folder: Path) -> None:
    assert calibrated("--data", "x.npz")[0] == 0
    assert {path.name for path in Path("out").iterdir()} == {"record.txt"}
    found = records.read("out/record.txt").get("conv")
    calibrator = registries().calibrators.get("ifmr").calibrate
    assert calibrator is not None
    scale, offset = calibrator([samples(6)[start : start + 2] for start in (0, 2, 4)])
    assert (found.scale_d, found.offset_d) == (scale, offset)
    assert (found.channels, found.height, found.width) == (3, 8, 8)


def test_saving_goes_on_from_a_record_of_the_simulator(folder: Path) -> None:
    assert calibrated("--data", "x.npz")[0] == 0
    save = ("ptq", "save", *FILES, "-c", "c.json", "--record", "out/record.txt")
    assert amct(*save, "--save-path", "m")[0] == 0
    assert verify("m", {"data": samples(3)}, against="reference").passed


def test_one_command_does_what_three_do(folder: Path) -> None:
    assert calibrated("--data", "x.npz")[0] == 0
    save = ("ptq", "save", *FILES, "-c", "c.json", "--record", "out/record.txt")
    assert amct(*save, "--save-path", "m")[0] == 0
    options = ("--data", "x.npz", "--batch-num", "3", "--engine", "simulator", "--json")
    status, out = amct("ptq", "run", *FILES, "-o", "all", *options)
    assert status == 0
    assert '"all/config.json"' in out
    assert Path("all/config.json").read_text() == Path("c.json").read_text()
    for end in ("fake_quant_weights.caffemodel", "deploy_weights.caffemodel"):
        assert Path(f"all/result/model_{end}").read_bytes() == Path(f"m_{end}").read_bytes()


def test_a_config_and_choices_exclude_each_other(folder: Path) -> None:
    options = ("-c", "c.json", "--act-algo", "mse", "--data", "x.npz")
    status, out = amct("ptq", "run", *FILES, "-o", "all", *options)
    assert status == 2
    assert "--act-algo and --config exclude each other" in out


def test_the_config_that_is_made_may_be_changed(folder: Path) -> None:
    options = ("--data", "x.npz", "--engine", "simulator")
    changes = ("--skip", "type:Conv*", "--set", "*.activation_quant_params.act_algo=min_max")
    assert amct("ptq", "run", *FILES, "-o", "all", *options, *changes)[0] == 0
    config = ptq_json.read("all/config.json")
    assert list(config.enabled) == ["ip"]
    assert config.layers["ip"].activation.act_algo == "min_max"
    assert list(records.read("all/record.txt")) == ["ip"]


def test_advice_is_followed_and_what_cannot_be_said_is_told(folder: Path) -> None:
    entries = [
        {"layer": "conv", "cause": "clipping", "reason": "It clips.", "ptq": {"skip": True}},
        {"layer": "ip", "cause": "diverged bound", "reason": "It grew.", "qat": {"skip": True}},
    ]
    Path("advice.json").write_text(json.dumps({"version": 1, "advice": entries}))
    options = ("--data", "x.npz", "--engine", "simulator", "--apply", "advice.json")
    status, out = amct("ptq", "run", *FILES, "-o", "all", *options)
    assert (status, "Not applied: ip: diverged bound: It grew." in out) == (0, True)
    assert list(ptq_json.read("all/config.json").enabled) == ["ip"]


def test_a_config_that_is_given_is_not_changed(folder: Path) -> None:
    options = ("-c", "c.json", "--data", "x.npz", "--skip", "ip")
    status, out = amct("ptq", "run", *FILES, "-o", "all", *options)
    assert (status, "--skip and --config exclude each other" in out) == (2, True)


def test_images_of_a_folder_calibrate(folder: Path) -> None:
    Path("images").mkdir()
    generator = np.random.default_rng(5)
    for index in range(3):
        pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"images/{index}.png")
    Path("p.json").write_text('{"channels": "BGR", "scale": 0.01}')
    status, out = calibrated("--data", "images", "--preprocess", "p.json")
    assert status == 0, out
    assert 0 < float(records.read("out/record.txt").get("conv").scale_d or 0) < 0.011


def test_too_few_samples_are_refused_before_anything_is_written(folder: Path) -> None:
    status, out = calibrated("--data", "x.npz", "--batch-size", "3")
    assert status == 1
    assert "it has 6 samples; 3 batches (batch_num) of 3 need 9" in out
    assert not Path("out").exists()


def test_without_data_the_simulator_has_nothing_to_run(folder: Path) -> None:
    status, out = calibrated()
    assert status == 1
    assert "the simulator does not run the network's data layers" in out


def test_infinity_in_the_data_names_layer_and_batch(folder: Path) -> None:
    x = samples(6)
    x[3, 0, 0, 0] = np.inf
    np.savez("x.npz", data=x)
    status, out = calibrated("--data", "x.npz")
    assert status == 1
    assert "conv" in out
    assert "batch 2 of its input has 1 values of 384 that are NaN (0) or infinite (1)" in out
    assert not Path("out/record.txt").exists()


def test_the_difference_of_two_records_names_the_layer(folder: Path) -> None:
    assert calibrated("--data", "x.npz")[0] == 0
    network = workflow.reopen_with(ptq_json.read("c.json"), "c.json", *FILES, "r.txt")
    plan = make_plan(network.graph, network.config, network.record_file, registries())
    record = records.read("out/record.txt")
    batches = [{"data": samples(6)[start : start + 2]} for start in (0, 2, 4)]
    assert difference(record, calibrate(plan, batches, SimulatorEngine())).largest == 0
    louder = [{"data": batch["data"] * 1.5} for batch in batches]
    found = difference(record, calibrate(plan, louder, SimulatorEngine("reference")))
    assert found.layer in ("conv", "ip")
    assert found.largest > 0.3


def outliers() -> np.ndarray:
    """Return samples with a few values far from the others."""
    x = samples(6)
    x[np.random.default_rng(6).random(x.shape) < 0.003] *= 12
    return x


@pytest.mark.parametrize("data", [samples(6), outliers()], ids=["even", "outliers"])
def test_best_takes_what_disturbs_the_layer_least_in_integers(folder: Path, data) -> None:
    np.savez("x.npz", data=data)
    errors = {}
    for algorithm in ("best", "hfmg", "min_max", "percentile", "mse", "kl"):
        choices = ("--act-algo", algorithm, "--skip-layer", "ip", "--batch-num", "3")
        run = ("-o", algorithm, "--data", "x.npz", "--engine", "simulator", *choices)
        assert amct("ptq", "run", *FILES, *run)[0] == 0
        errors[algorithm] = error_of_the_convolution(algorithm, data)
    assert errors.pop("best") == min(errors.values())
    assert len(set(errors.values())) > 1


def error_of_the_convolution(folder: str, data: np.ndarray) -> float:
    """Return the squared error of the blob ``conv`` before its ReLU, from the saved integers."""
    network = workflow.reopen(f"{folder}/config.json", *FILES, f"{folder}/record.txt")
    exact = SimulatorEngine().prepare(network.graph, [Value("conv")])({"data": data})
    saved = Simulator(*(f"{folder}/result/model_deploy_{end}" for end in DEPLOYED))
    found = saved.run_values({"data": data}, [Value("conv")])[Value("conv")]
    return float(np.square(found.astype(np.float64) - exact[Value("conv")]).sum())


def test_improvements_are_off_unless_they_are_asked_for(folder: Path) -> None:
    run = ("ptq", "run", *FILES, "--data", "x.npz", "-c", "c.json", "--engine", "simulator")
    assert amct(*run, "-o", "plain")[0] == 0
    for options in (("--bias-correction",), ("--equalize",), ("--equalize", "--bias-correction")):
        status, out = amct(*run, "-o", "improved", *options)
        assert status == 0, out
        for end in ("fake_quant_weights.caffemodel", "deploy_weights.caffemodel"):
            plain, improved = (
                Path(f"{name}/result/model_{end}").read_bytes() for name in ("plain", "improved")
            )
            assert plain != improved
        assert verify("improved/result/model", {"data": samples(3)}, against="reference").passed


def test_bias_correction_takes_the_mean_error_away(folder: Path) -> None:
    errors = {}
    for name, options in (("plain", ()), ("corrected", ("--bias-correction",))):
        run = ("-o", name, "--data", "x.npz", "-c", "c.json", "--engine", "simulator", *options)
        assert amct("ptq", "run", *FILES, *run)[0] == 0
        errors[name] = mean_errors_of_the_last_layer(name)
    assert errors["corrected"].max() < 0.1 * errors["plain"].max()
    plain, corrected = (records.read(f"{name}/record.txt") for name in errors)
    assert plain == corrected


def mean_errors_of_the_last_layer(folder: str) -> np.ndarray:
    """Return the error of each channel's mean over the calibration data."""
    ip = Value("ip")
    network = workflow.reopen("c.json", *FILES, f"{folder}/record.txt")
    exact = SimulatorEngine().prepare(network.graph, [ip])({"data": samples(6)})[ip]
    saved = Simulator(*(f"{folder}/result/model_deploy_{end}" for end in DEPLOYED))
    found = saved.run_values({"data": samples(6)}, [ip])[ip]
    return np.abs(found.astype(np.float64).mean(axis=0) - exact.mean(axis=0))


def test_bias_correction_without_data_is_refused_before_anything_is_written(folder: Path) -> None:
    status, out = amct("ptq", "run", *FILES, "-o", "all", "--bias-correction")
    assert status == 1
    assert "bias correction runs in the simulator" in out
    assert not Path("all").exists()


def test_what_is_beyond_batch_num_corrects_nothing(folder: Path) -> None:
    more = np.concatenate([samples(6), 1000 * samples(1)])
    run = ("ptq", "run", *FILES, "-c", "c.json", "--engine", "simulator", "--bias-correction")
    assert amct(*run, "--data", "x.npz", "-o", "six", "--batch-size", "2")[0] == 0
    np.savez("more.npz", data=more)
    assert amct(*run, "--data", "more.npz", "-o", "seven", "--batch-size", "2")[0] == 0
    name = "result/model_deploy_weights.caffemodel"
    assert Path("six", name).read_bytes() == Path("seven", name).read_bytes()


@pytest.mark.caffe
def test_models_with_improvements_agree_in_caffe_to_the_last_bit(folder: Path) -> None:
    pytest.importorskip("caffe")
    run = ("ptq", "run", *FILES, "-o", "o", "--data", "x.npz", "-c", "c.json")
    options = ("--engine", "simulator", "--equalize", "--bias-correction")
    assert amct(*run, *options)[0] == 0
    assert verify("o/result/model", {"data": samples(3)}).exact


def test_shift_n_is_recorded_on_request(folder: Path) -> None:
    assert calibrated("--data", "x.npz")[0] == 0
    assert records.read("out/record.txt").get("conv").shift_bit == ()
    assert calibrated("--data", "x.npz", "--shift-n-algo", "search_n")[0] == 0
    record = records.read("out/record.txt")
    assert (len(record.get("conv").shift_bit), len(record.get("ip").shift_bit)) == (4, 1)
    save = ("ptq", "save", *FILES, "-c", "c.json", "--record", "out/record.txt")
    assert amct(*save, "--save-path", "m")[0] == 0
    assert verify("m", {"data": samples(3)}, against="reference").passed
