"""A third party's distribution is installed, and what it brings is used by name.

The distribution is ``examples/third_party_plugin``: the layer type Scale, the activation algorithm
``power_of_two``, the shift-N search ``percentile`` and the deploy backend ``factors_json``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from digits import REPOSITORY, DigitsModel, run_python
from third_party import install

EXAMPLE = REPOSITORY / "examples/third_party_plugin"

SCALE = """\
layer {
  name: "scale1" type: "Scale" bottom: "pool1" top: "scale1"
  scale_param { bias_term: true }
}
layer {
  name: "conv2" type: "Convolution" bottom: "scale1" top: "conv2"
"""

TRAIN = """
import caffe
solver = caffe.get_solver("scaled_solver.prototxt")
solver.net.copy_from("float_iter_150.caffemodel")
solver.solve()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Return a folder that the example is installed into."""
    folder = tmp_path_factory.mktemp("site")
    install(EXAMPLE, folder)
    return folder


@pytest.fixture
def installed(site, monkeypatch) -> None:
    """Put the installed example on the path of the processes that a test starts."""
    monkeypatch.setenv("PYTHONPATH", str(site))


@pytest.fixture
def scaled(digits) -> DigitsModel:
    """Return the digits network with a Scale behind the first pooling, trained a little further."""
    from amct_caffe.demo import network

    text = (digits.folder / digits.model).read_text()
    conv2 = SCALE[SCALE.index('layer {\n  name: "conv2"') :].replace("scale1", "pool1")
    assert conv2 in text
    (digits.folder / "scaled.prototxt").write_text(text.replace(conv2, SCALE))
    solver = network.solver_prototxt("scaled.prototxt", "scaled", 40, 0.02)
    (digits.folder / "scaled_solver.prototxt").write_text(solver)
    run_python(digits.folder, "-c", TRAIN)
    with np.load(digits.folder / "test.npz") as arrays:
        np.savez(digits.folder / "x.npz", data=arrays["data"][:200])
    return DigitsModel(digits.folder, "scaled.prototxt", "scaled_iter_40.caffemodel")


def amct(folder: Path, *arguments: str, check: bool = True):
    return run_python(folder, "-m", "amct_core", *arguments, check=check)


PROVIDED = {
    "activation_algorithms": "power_of_two",
    "shift_searches": "percentile",
    "deploy_backends": "factors_json",
}


@pytest.mark.usefixtures("installed")
def test_amct_plugins_lists_what_the_distribution_provides(tmp_path):
    listed = json.loads(amct(tmp_path, "plugins", "--json").stdout)
    assert {"name": "example", "entry_point": "amct_example_plugin.plugin"} in listed["plugins"]
    for kind, name in PROVIDED.items():
        assert {"name": name, "plugin": "example"} in listed["provided"][kind]
    assert {"name": "Scale", "plugin": "caffe, example"} in listed["provided"]["layer_types"]
    assert listed["errors"] == {}


def test_without_the_distribution_nobody_knows_its_names(tmp_path):
    provided = json.loads(amct(tmp_path, "plugins", "--json").stdout)["provided"]
    for kind, name in PROVIDED.items():
        assert name not in [entry["name"] for entry in provided[kind]]


CHOICES = ("--activation-algo", "power_of_two", "--shift-n-algo", "percentile")
CHOICES += ("--backend", "factors_json")


@pytest.mark.caffe
@pytest.mark.usefixtures("installed")
def test_the_command_line_takes_it_from_the_config_to_the_proof(scaled):
    folder = scaled.folder
    amct(folder, "qat", "config", scaled.model, scaled.weights, "-o", "config.json", *CHOICES)
    config = json.loads((folder / "config.json").read_text())
    assert config["shift_n_algo"] == "percentile"
    assert config["deploy_backend"] == "factors_json"
    assert config["scale1"]["retrain_data_config"]["algo"] == "power_of_two"

    amct(folder, "qat", "insert", scaled.model, scaled.weights, "-c", "config.json", "-o", "q")
    write_solver(folder)
    amct(folder, "qat", "train", "solver.prototxt", "--weights", "q/modified_model.caffemodel")
    save = ("qat", "save", "q/modified_model.prototxt", "q/qat_iter_20.caffemodel")
    save += ("--record", "q/record.txt", "-c", "config.json")
    amct(folder, *save, "--save-path", "r/m")
    check_factors(folder / "r/m_factors.json")
    assert not (folder / "r/m_deploy_model.prototxt").exists()

    amct(folder, *save, "--save-path", "r/m", "--backend", "ascend")
    check_exact(folder, "r/m")


BUNDLED = ("--backend", "json_bundle", "--save-path", "b/m")
SAVE = ("qat", "save", "q/modified_model.prototxt", "q/qat_iter_20.caffemodel")
SAVE += ("--record", "q/record.txt")


@pytest.fixture
def bundled(installed, scaled) -> DigitsModel:
    """Return the trained network, saved by the plugin's own backend alone."""
    folder = scaled.folder
    amct(folder, "qat", "config", scaled.model, scaled.weights, "-o", "config.json", *CHOICES)
    amct(folder, "qat", "insert", scaled.model, scaled.weights, "-c", "config.json", "-o", "q")
    write_solver(folder)
    amct(folder, "qat", "train", "solver.prototxt", "--weights", "q/modified_model.caffemodel")
    amct(folder, *SAVE, *BUNDLED)
    return scaled


@pytest.mark.caffe
def test_what_a_plugins_backend_has_saved_is_verified(bundled):
    folder = bundled.folder
    written = sorted(path.name for path in (folder / "b").iterdir())
    assert [name for name in written if "fake_quant" not in name] == [
        "m_bundle.json",
        "m_bundle.npz",
    ]
    check_exact(folder, "b/m")

    amct(folder, "simulate", "b/m", "--data", "x.npz", "-o", "mine.npz")
    amct(folder, *SAVE, "--backend", "ascend", "--save-path", "a/m")
    amct(folder, "simulate", "a/m", "--data", "x.npz", "-o", "theirs.npz")
    with np.load(folder / "mine.npz") as mine, np.load(folder / "theirs.npz") as theirs:
        assert mine.files == theirs.files
        assert all(np.array_equal(mine[name], theirs[name]) for name in mine.files)

    with np.load(folder / "b/m_bundle.npz") as arrays:
        changed = dict(arrays)
    key = next(key for key, array in changed.items() if array.dtype == np.int8)
    changed[key].flat[0] ^= 1
    np.savez(folder / "b/m_bundle.npz", **changed)
    found = amct(folder, "verify", "b/m", "--data", "x.npz", "--json", check=False)
    assert found.returncode == 1
    report = json.loads(found.stdout)
    assert report["exact_integers"] is False
    assert report["layers"][0]["name"] == "conv1"
    assert report["layers"][0]["accumulator_mismatches"] > 0

    amct(folder, *SAVE, "--backend", "ascend", "--save-path", "b/m")
    two = amct(folder, "verify", "b/m", "--data", "x.npz", check=False)
    assert two.returncode != 0
    assert "several backends are saved under 'b/m'" in two.stderr
    mine = ("b/m", "--backend", "json_bundle", "--data", "x.npz")
    named = amct(folder, "verify", *mine, "--json", check=False)
    assert json.loads(named.stdout)["layers"][0]["accumulator_mismatches"] > 0
    (folder / "b/m_bundle.npz").write_bytes(b"")
    damaged = amct(folder, "simulate", *mine, "-o", "z.npz", check=False)
    assert "m_bundle.json: it is no bundle" in damaged.stderr


def write_solver(folder: Path) -> None:
    from amct_caffe.demo import network

    solver = network.solver_prototxt("q/modified_model.prototxt", "q/qat", 20, 0.001)
    (folder / "solver.prototxt").write_text(solver)


def check_factors(path: Path) -> None:
    """Assert that the backend wrote what the plugin's algorithms must have made."""
    layers = {layer["name"]: layer for layer in json.loads(path.read_text())["layers"]}
    assert list(layers) == ["conv1", "scale1", "conv2", "pool2", "ip1", "ip2"]
    for layer in layers.values():
        mantissa, _ = np.frexp(layer["quant_scale"])
        assert mantissa == 0.5, "a power of two"
        assert layer["offset"] == 0
        searched = layer["type"] != "Pooling"
        assert all(1 <= n <= 16 if searched else n == 0 for n in layer["shift_n"])
    scale = layers["scale1"]
    assert scale["type"] == "Scale"
    assert len(scale["weights"]) == len(scale["bias"]) == 16
    assert max(map(abs, scale["weights"])) == 127
    assert len(set(scale["weights"])) > 1


def check_exact(folder: Path, prefix: str) -> None:
    report = json.loads(amct(folder, "verify", prefix, "--data", "x.npz", "--json").stdout)
    assert report["exact_integers"] is True
    assert report["samples"] == 200
    (scale,) = (layer for layer in report["layers"] if layer["name"] == "scale1")
    assert scale["input_int8_mismatches"] == scale["accumulator_mismatches"] == 0
