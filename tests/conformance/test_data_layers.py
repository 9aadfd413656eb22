"""Networks that bring their data along: every kind of data layer, through real training.

The deployable model has an Input in place of the data layer, of the shape that the network tells or
the record knows, and simulation equals the fake-quant model.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amct_caffe.frontend import CaffeFrontend
from amct_caffe.model.formats.caffemodel import writer
from amct_caffe.model.formats.prototxt import document as documents
from amct_core import workflow
from amct_core.errors import ModelError
from cpu_sim_backend.data import DataLayerSource
from cpu_sim_backend.verify import verify
from tests.conformance.runner import SOLVER

pytestmark = pytest.mark.caffe

BATCH, CHANNELS, SIZE, CLASSES = 4, 3, 8, 5

NETWORK = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy"
  include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def images(count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Return images, float32 with 8 bits of content, and labels."""
    generator = np.random.default_rng(5)
    data = generator.integers(0, 256, (count, CHANNELS, SIZE, SIZE))
    return data.astype(np.float32), generator.integers(0, CLASSES, count).astype(np.float32)


def dummy_data() -> str:
    shapes = f"shape {{ dim: {BATCH} dim: {CHANNELS} dim: {SIZE} dim: {SIZE} }}"
    return (
        'layer { name: "source" type: "DummyData" top: "data" top: "label" dummy_data_param { '
        f"{shapes} shape {{ dim: {BATCH} }}"
        ' data_filler { type: "gaussian" std: 50 } data_filler { type: "constant" value: 2 } } }'
    )


def hdf5_data() -> str:
    write_hdf5()
    Path("files.txt").write_text(os.path.abspath("images.h5") + "\n")
    return (
        'layer { name: "source" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { '
        f'source: "files.txt" batch_size: {BATCH} }} }}'
    )


def write_hdf5() -> None:
    """Let Caffe write the file."""
    import caffe

    data, labels = images()
    inputs = "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        f"input_param {{ shape {{ {dims} }} }} }}"
        for name, dims in (
            ("data", " ".join(f"dim: {dim}" for dim in data.shape)),
            ("label", f"dim: {len(labels)}"),
        )
    )
    Path("write.prototxt").write_text(
        inputs + 'layer { name: "out" type: "HDF5Output" bottom: "data" bottom: "label"'
        ' hdf5_output_param { file_name: "images.h5" } }'
    )
    net = caffe.Net("write.prototxt", caffe.TEST)
    net.blobs["data"].data[...], net.blobs["label"].data[...] = data, labels
    net.forward()


def python_data() -> str:
    data, labels = images()
    np.savez("images.npz", data=data, label=labels)
    parameters = {"file": "images.npz", "arrays": ["data", "label"], "batch_size": BATCH}
    return (
        'layer { name: "source" type: "Python" top: "data" top: "label" python_param { '
        'module: "amct_caffe.layers" layer: "ArrayData" '
        f"param_str: '{json.dumps(parameters)}' }} }}"
    )


def lmdb_data() -> str:
    from amct_caffe.runtime.pycaffe import caffe

    lmdb = pytest.importorskip("lmdb")
    data, labels = images()
    environment = lmdb.open("images_lmdb", map_size=1 << 24)
    with environment.begin(write=True) as transaction:
        for index, (image, label) in enumerate(zip(data.astype(np.uint8), labels)):
            channels, height, width = image.shape
            datum = caffe.proto.caffe_pb2.Datum(
                channels=channels,
                height=height,
                width=width,
                data=image.tobytes(),
                label=int(label),
            )
            transaction.put(f"{index:08d}".encode(), datum.SerializeToString())
    environment.close()
    return (
        'layer { name: "source" type: "Data" top: "data" top: "label" '
        "transform_param { crop_size: 8 mean_value: 128 scale: 0.0078125 } "
        f'data_param {{ source: "images_lmdb" backend: LMDB batch_size: {BATCH} }} }}'
    )


def image_files() -> str:
    from PIL import Image

    data, labels = images()
    lines = []
    for index, (image, label) in enumerate(zip(data.astype(np.uint8), labels)):
        Image.fromarray(image.transpose(1, 2, 0)).save(f"{index}.png")
        lines.append(f"{index}.png {int(label)}\n")
    Path("files.txt").write_text("".join(lines))
    return (
        'layer { name: "source" type: "ImageData" top: "data" top: "label" '
        'image_data_param { source: "files.txt" new_height: 8 new_width: 8 '
        f"batch_size: {BATCH} }} }}"
    )


def memory_data() -> str:
    return (
        'layer { name: "source" type: "MemoryData" top: "data" top: "label" memory_data_param { '
        f"batch_size: {BATCH} channels: {CHANNELS} height: {SIZE} width: {SIZE} }} }}"
    )


SOURCES = [
    dummy_data,
    pytest.param(hdf5_data, marks=pytest.mark.needs("hdf5_data")),
    python_data,
    pytest.param(lmdb_data, marks=pytest.mark.needs("lmdb")),
    pytest.param(image_files, marks=pytest.mark.needs("image_data")),
    memory_data,
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
def test_the_workflow_with(
    source: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from amct_caffe.runtime.pycaffe import caffe

    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(source() + NETWORK)
    net = caffe.Net("net.prototxt", caffe.TRAIN)
    net.save("net.caffemodel")
    workflow.create_config("net.prototxt", "net.caffemodel", "c.json")
    modified = ("m.prototxt", "m.caffemodel")
    workflow.insert("net.prototxt", "net.caffemodel", "c.json", *modified, "r.txt")
    solve(caffe, source is memory_data)
    workflow.save("m.prototxt", "s_iter_1.caffemodel", "saved", "Both", "r.txt", "c.json")

    deploy = documents.read("saved_deploy_model.prototxt").layers
    assert deploy[0].type == "Input"
    assert list(deploy[0].tops) == ["data"]
    (shape,) = deploy[0].parameters("input_param").messages("shape")
    assert shape.integers("dim")[1:] == [CHANNELS, SIZE, SIZE]
    assert verify("saved", {"data": images(9)[0]}, batch_size=4).exact_integers
    check_own_data(source)


def check_own_data(source: Callable[[], str]) -> None:
    """The data layer of the saved model gives its images again, from the first one on."""
    frontend = CaffeFrontend()
    if source is memory_data:
        with pytest.raises(ModelError, match=r"'source'.*'MemoryData', which brings no data by"):
            frontend.network_data("saved")
        return
    own = DataLayerSource(frontend.network_data("saved"), iterations=4)
    assert own.samples == 4 * BATCH
    for _ in range(2):
        batches = [batch["data"] for batch in own.read(batch_size=3)]
        assert [len(batch) for batch in batches] == [3, 1] * 4
        if source is not dummy_data:  # that one draws new numbers each time
            np.testing.assert_array_equal(np.concatenate(batches), expected_of(source))
    assert verify("saved", own).samples == 4 * BATCH
    assert verify("saved", own).exact_integers


def expected_of(source: Callable[[], str]) -> np.ndarray:
    """Return 16 images as the data layer gives them: all twelve, and the first four again."""
    data = np.concatenate([images()[0], images()[0][:BATCH]])
    if source is lmdb_data:
        return (data - np.float32(128)) * np.float32(0.0078125)
    return data[:, ::-1] if source is image_files else data  # OpenCV reads BGR


def solve(caffe: Any, fed: bool) -> None:
    """Train for one iteration; a MemoryData layer is fed with arrays."""
    Path("s.prototxt").write_text(SOLVER.format(net="m.prototxt", prefix="s"))
    solver = caffe.get_solver("s.prototxt")
    solver.net.copy_from("m.caffemodel")
    arrays = images()  # Caffe reads them while it runs, and keeps no reference of its own
    if fed:
        for net in (solver.net, solver.test_nets[0]):
            net.set_input_arrays(*arrays)
    solver.solve()
    del arrays


def test_a_pooling_over_the_whole_map_is_left_alone_behind_a_database_with_a_crop(
    tmp_path: Path,
) -> None:
    """As in ImageNet's ResNet-50, whose pool5 is 7 x 7 over 7 x 7: that is global pooling."""
    text = (
        'layer { name: "source" type: "Data" top: "data" top: "label" '
        'transform_param { crop_size: 8 } data_param { source: "x" batch_size: 4 backend: LMDB } }'
        'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" '
        "convolution_param { num_output: 4 kernel_size: 2 bias_term: false } }"
        'layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" '
        "pooling_param { pool: AVE kernel_size: 7 } }"
    )
    model, weights = tmp_path / "n.prototxt", tmp_path / "n.caffemodel"
    model.write_text(text)
    with weights.open("wb") as stream:
        blobs = [np.ones((4, 3, 2, 2), np.float32)]
        writer.write(stream, "n", [("conv", "Convolution", blobs)])
    report = workflow.create_config(str(model), str(weights), str(tmp_path / "c.json"))
    assert report.quantizable == ("conv",)
    assert "covers the whole input" in report.unsupported["pool"]
