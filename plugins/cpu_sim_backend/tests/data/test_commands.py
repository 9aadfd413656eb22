"""``amct simulate`` and ``amct verify`` with data other than an ``.npz`` file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Mapping, Tuple

import numpy as np
import pytest

from amct_caffe.frontend import CaffeFrontend
from amct_caffe.model.formats.prototxt import document as documents
from amct_core.cli.main import cli
from amct_core.errors import ConfigError
from amct_core.extensions.frontend import NetworkData
from cpu_sim_backend import ArraySource, NpzSource, Simulator
from cpu_sim_backend.data import DataLayerSource
from plugins.cpu_sim_backend.tests.integers.corrupting import Saved, save

Image = pytest.importorskip("PIL.Image")

DECLARED = {"channels": "BGR", "resize": {"width": 6, "height": 6}, "mean": [9, 8, 7], "scale": 0.5}


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Return a saved network with an input of (N, 3, 6, 6), and a folder of images beside it."""
    generator = np.random.default_rng(1)
    (tmp_path / "images").mkdir()
    for name in ("b.png", "a.png", "c.png"):
        pixels = generator.integers(0, 256, (9, 7, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / name)
    (tmp_path / "pre.json").write_text(json.dumps(DECLARED))
    return save(tmp_path)


def amct(capsys: Any, *arguments: str) -> Tuple[int, str, str]:
    """Return exit status, standard output and standard error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli(arguments, prog_name="amct")
    captured = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, captured.out, captured.err


@pytest.fixture
def paths(tmp_path: Path) -> Dict[str, str]:
    return {name: str(tmp_path / name) for name in ("images", "pre.json", "y.npz")}


def expected_images(folder: str) -> np.ndarray:
    """Return the preprocessed images, by Pillow and NumPy alone."""
    images = []
    for name in ("a.png", "b.png", "c.png"):
        small = Image.open(f"{folder}/{name}").resize((6, 6), Image.Resampling.BILINEAR)
        bgr = np.asarray(small).transpose(2, 0, 1)[::-1].astype(np.float32)
        images.append((bgr - np.float32([[[9]], [[8]], [[7]]])) * np.float32(0.5))
    return np.stack(images)


def test_a_folder_of_images_is_simulated_in_the_reported_order(
    saved: Saved, paths: Dict[str, str], capsys: Any
) -> None:
    status, out, _ = amct(
        capsys, "simulate", saved.prefix, "--data", paths["images"], "--preprocess",
        paths["pre.json"], "-o", paths["y.npz"], "--batch-size", "2", "--json",
    )  # fmt: skip
    report = json.loads(out)
    assert (status, report["samples"], report["files"]) == (0, 3, ["a.png", "b.png", "c.png"])
    files = f"{saved.prefix}_deploy_model.prototxt", f"{saved.prefix}_deploy_weights.caffemodel"
    data = {"data": expected_images(paths["images"])}
    with np.load(paths["y.npz"]) as written:
        np.testing.assert_array_equal(written["prob"], Simulator(*files).run(data)["prob"])


def test_the_first_difference_names_the_image(
    saved: Saved, paths: Dict[str, str], capsys: Any
) -> None:
    pytest.importorskip("caffe")

    def wrong_bias(blobs: Dict[str, Any]) -> None:
        blobs["one"][0][0] = -blobs["one"][0][0]

    saved.damage(wrong_bias)
    folder = ("--data", paths["images"], "--preprocess", paths["pre.json"])
    status, out, _ = amct(capsys, "verify", saved.prefix, *folder, "--batch-size", "1", "--json")
    report = json.loads(out)
    first = report["layers"][0]["first_difference"]
    assert (status, report["files"]) == (1, ["a.png", "b.png", "c.png"])
    assert first["sample"] == report["files"][first["index"][0]]


WRONG: Mapping[str, Tuple[Tuple[str, ...], str]] = {
    "no data": ((), "give --data or --data-layer"),
    "two kinds of data": (
        ("--data", "{images}", "--data-layer", "--iterations", "1"),
        "give --data or --data-layer",
    ),
    "no iterations": (("--data-layer",), "give --iterations with --data-layer"),
    "iterations of a file": (
        ("--data", "{npz}", "--iterations", "2"),
        "give --iterations with --data-layer",
    ),
    "a folder without a declaration": (("--data", "{images}"), "give --preprocess with a folder"),
    "a declaration for a file": (
        ("--data", "{npz}", "--preprocess", "{pre}"),
        "give --preprocess with a folder",
    ),
    "no batch": (("--data", "{npz}", "--batch-size", "0"), "--batch-size"),
    "no iteration": (("--data-layer", "--iterations", "0"), "--iterations"),
}


@pytest.mark.parametrize("case", WRONG)
def test_options_that_disagree_are_a_usage_error(
    saved: Saved, paths: Dict[str, str], capsys: Any, case: str
) -> None:
    options, message = WRONG[case]
    places = {"images": paths["images"], "pre": paths["pre.json"], "npz": saved.data}
    status, out, err = amct(
        capsys, "verify", saved.prefix, *(option.format(**places) for option in options)
    )
    assert (status, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": "left"}, "field 'input': it is 'left'; the network's inputs: data"),
        ({"mean": [1]}, "field 'mean'"),
        ({"resize": {"short_side": 6}}, "a.png: it becomes 3 x 7 x 6; expected 3 x 6 x 6"),
        ({"channels": "GRAY", "mean": [1]}, "a.png: it becomes 1 x 6 x 6; expected 3 x 6 x 6"),
    ],
)
def test_a_declaration_that_does_not_fit_is_an_error(
    saved: Saved, paths: Dict[str, str], capsys: Any, changes: Dict[str, Any], message: str
) -> None:
    Path(paths["pre.json"]).write_text(json.dumps({**DECLARED, **changes}))
    status, out, err = amct(
        capsys, "simulate", saved.prefix, "--data", paths["images"], "--preprocess",
        paths["pre.json"], "-o", paths["y.npz"],
    )  # fmt: skip
    assert (status, out) == (1, "")
    assert message in err
    assert not Path(paths["y.npz"]).exists()


class Counted(NetworkData):
    """Stands in for data layers that Caffe runs: batches of four that count on."""

    @property
    def shapes(self) -> Mapping[str, Tuple[int, ...]]:
        return {"data": (4, 3, 6, 6)}

    def batches(self, count: int) -> Iterator[Mapping[str, np.ndarray]]:
        for start in range(0, 4 * count, 4):
            rows = np.arange(start, start + 4, dtype=np.float32).reshape(4, 1, 1, 1)
            yield {"data": np.broadcast_to(rows / 9, (4, 3, 6, 6))}


@pytest.mark.parametrize("batch_size", ["1", "3", "100"])
def test_the_networks_data_layers_are_simulated_batch_by_batch(
    saved: Saved,
    paths: Dict[str, str],
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
    batch_size: str,
) -> None:
    monkeypatch.setattr(CaffeFrontend, "network_data", lambda self, prefix: Counted())
    status, out, _ = amct(
        capsys, "simulate", saved.prefix, "--data-layer", "--iterations", "3", "-o",
        paths["y.npz"], "--batch-size", batch_size, "--json",
    )  # fmt: skip
    assert (status, json.loads(out)["samples"]) == (0, 12)
    data = np.concatenate([batch["data"] for batch in Counted().batches(3)])
    files = f"{saved.prefix}_deploy_model.prototxt", f"{saved.prefix}_deploy_weights.caffemodel"
    with np.load(paths["y.npz"]) as written:
        np.testing.assert_array_equal(
            written["prob"], Simulator(*files).run({"data": data})["prob"]
        )


def test_data_layers_need_caffe(saved: Saved, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util
    import sys

    monkeypatch.setattr(importlib.util, "find_spec", lambda name, package=None: None)
    for module in ("network_data", "pycaffe"):
        monkeypatch.delitem(sys.modules, f"amct_caffe.runtime.{module}", raising=False)
    options = ("--data-layer", "--iterations", "1")
    status, _, err = amct(capsys, "verify", saved.prefix, *options)
    assert status == 1
    assert "pycaffe is not installed" in err


PYTHON_LAYER = """
layer { name: "batches" type: "Python" top: "data"
  python_param { module: "no_such_module_of_data" layer: "Batches" } }
"""


@pytest.mark.caffe
@pytest.mark.parametrize("command", ["evaluate", "report", "simulate", "verify"])
def test_a_data_layer_whose_class_cannot_be_imported_is_named(
    saved: Saved, paths: Dict[str, str], capsys: Any, command: str
) -> None:
    pytest.importorskip("caffe")
    model = Path(f"{saved.prefix}_fake_quant_model.prototxt")
    document = documents.read(str(model))
    (data,) = documents.from_text(PYTHON_LAYER).layers
    layers = [data if layer.type == "Input" else layer for layer in document.layers]
    model.write_text(documents.NetDocument.create(document.name, layers).format())
    output = ("-o", paths["y.npz"]) if command == "simulate" else ()
    options = ("--data-layer", "--iterations", "2")
    status, _, err = amct(capsys, command, saved.prefix, *options, *output)
    said = " ".join(err.split())
    assert status == 1
    assert "class 'Batches' of module 'no_such_module_of_data' cannot be imported" in said
    assert "layer 'batches'" in said and "PYTHONPATH" in said


def test_iterations_are_counted_from_one() -> None:
    with pytest.raises(ConfigError, match="it is 0; expected an integer above 0"):
        DataLayerSource(Counted(), 0)


@pytest.fixture(params=["arrays", "an array source", "a file"])
def data(request: pytest.FixtureRequest, saved: Saved) -> Callable[[], Any]:
    with np.load(saved.data) as file:
        arrays = dict(file)
    sources: Mapping[str, Callable[[], Any]] = {
        "arrays": lambda: arrays,
        "an array source": lambda: ArraySource(arrays),
        "a file": lambda: NpzSource(saved.data),
    }
    return sources[request.param]


def test_a_simulator_streams_any_source(saved: Saved, data: Callable[[], Any]) -> None:
    files = f"{saved.prefix}_deploy_model.prototxt", f"{saved.prefix}_deploy_weights.caffemodel"
    simulator = Simulator(*files)
    blob = simulator.quantized_layers[1].accumulator.name
    with np.load(saved.data) as arrays:
        whole = simulator.run(dict(arrays), [blob])[blob]
    batches = [found[blob] for found in simulator.stream(data(), 3, [blob])]
    assert [len(batch) for batch in batches] == [3, 1]
    np.testing.assert_array_equal(np.concatenate(batches), whole)
