"""``"transform": "network"``: an image folder gives what Caffe's own data layer gives, bit by bit.

Caffe reads the same files through ImageData and its ``transform_param``.  The images are PNG, which
every decoder reads alike, and are not resized, which OpenCV does in another way than Pillow.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from amct_caffe.frontend import CaffeFrontend
from amct_caffe.model.formats.prototxt import document as documents
from amct_core.errors import AmctError, FileFormatError, ModelError
from cpu_sim_backend.data import DataLayerSource, ImageFolderSource
from cpu_sim_backend.data.preprocessing import Preprocessing, read

COUNT, HEIGHT, WIDTH = 6, 9, 12


def write_images(folder: Path) -> None:
    from PIL import Image

    generator = np.random.default_rng(3)
    for index in range(COUNT):
        pixels = generator.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")


def write_mean() -> None:
    from amct_caffe.runtime.pycaffe import caffe

    mean = np.random.default_rng(4).uniform(0, 255, (1, 3, HEIGHT, WIDTH))
    shape = caffe.proto.caffe_pb2.BlobShape(dim=mean.shape)
    blob = caffe.proto.caffe_pb2.BlobProto(shape=shape, data=mean.astype(np.float32).ravel())
    Path("mean.binaryproto").write_bytes(blob.SerializeToString())


def write_network(transform: str, image: str = "", more: str = "") -> None:
    Path("net_fake_quant_model.prototxt").write_text(
        f"""
        layer {{ name: "training" type: "ImageData" top: "data" top: "label"
          include {{ phase: TRAIN }} transform_param {{ crop_size: 3 mirror: true }}
          image_data_param {{ source: "absent.txt" batch_size: 7 }} }}
        layer {{ name: "images" type: "ImageData" top: "data" top: "label"
          include {{ phase: TEST }} transform_param {{ {transform} }}
          image_data_param {{ source: "files.txt" batch_size: 2 {image} }} }} {more}
        layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
          inner_product_param {{ num_output: 2 }} }}
        layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}
        """
    )


def declared() -> Preprocessing:
    Path("pre.json").write_text(json.dumps({"transform": "network"}))
    frontend = CaffeFrontend()
    return read("pre.json", lambda blob: frontend.image_transform("net", blob))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


TRANSFORMS = [
    "",
    "scale: 0.00390625",
    "mean_value: 104.25 mean_value: 117.1 mean_value: 123.68 scale: 0.017",
    "mean_value: 117.3",
    "crop_size: 5",
    "crop_size: 8 mean_value: 127.5 scale: 0.0078125",
    'mean_file: "mean.binaryproto"',
    'mean_file: "mean.binaryproto" crop_size: 6 scale: 0.3',
]


@pytest.mark.caffe
@pytest.mark.needs("image_data")
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_the_folder_gives_what_caffe_gives(folder: Path, transform: str) -> None:
    write_images(folder)
    write_mean()
    Path("files.txt").write_text("".join(f"{index}.png 0\n" for index in range(COUNT)))
    write_network(transform)
    caffe = DataLayerSource(CaffeFrontend().network_data("net"), COUNT // 2)
    images = ImageFolderSource(str(folder), declared(), "data")
    for theirs, ours in zip(caffe.read(2), images.read(2)):
        np.testing.assert_array_equal(ours["data"], theirs["data"])
    assert caffe.samples == images.samples == COUNT


def test_a_gray_network_says_so() -> None:
    write_network("", image="is_color: false")
    assert declared().channels == "GRAY"


def test_images_that_are_mirrored_at_random_are_refused() -> None:
    write_network("mirror: true")
    with pytest.raises(ModelError, match=r"line \d+: it mirrors images at random") as caught:
        declared()
    assert (caught.value.layer, caught.value.field) == ("images", "transform_param.mirror")


def test_two_means_are_refused() -> None:
    write_network('mean_file: "x" mean_value: 1')
    with pytest.raises(ModelError, match=r"transform_param\.mean_file"):
        declared()


@pytest.mark.parametrize("content", [None, b"", b"no blob", b"\x3a\x02\x08\x03"])
def test_a_bad_mean_file_is_named(content: bytes | None) -> None:
    write_network('mean_file: "mean.binaryproto"')
    if content is not None:
        Path("mean.binaryproto").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"mean\.binaryproto"):
        declared()


def test_an_input_without_a_data_layer_is_named() -> None:
    write_network("")
    with pytest.raises(ModelError, match="'data'; expected input 'left'"):
        CaffeFrontend().image_transform("net", "left")


@pytest.mark.parametrize(
    ("transform", "field", "missing"),
    [
        ("", "image_data_param.source", "files.txt"),
        ('mean_file: "m.binaryproto"', "transform_param.mean_file", "m.binaryproto"),
        (None, "image_data_param.source", "1.png"),
    ],
)
@pytest.mark.caffe
def test_a_file_that_is_not_there_is_named_before_caffe_ends_the_process(
    folder: Path, transform: str | None, field: str, missing: str
) -> None:
    write_network(transform or "")
    if transform is None:
        write_images(folder)
        Path("1.png").unlink()
        Path("files.txt").write_text("0.png 0\n1.png 0\n")
    with pytest.raises(ModelError, match=f"there is no '{missing}'") as caught:
        CaffeFrontend().network_data("net")
    assert (caught.value.layer, caught.value.field) == ("images", field)


@pytest.mark.caffe
@pytest.mark.parametrize("kind", ["Input", "MemoryData"])
def test_a_layer_that_brings_no_data_is_refused(kind: str) -> None:
    Path("net_fake_quant_model.prototxt").write_text(
        f'layer {{ name: "in" type: "{kind}" top: "data" }}'
        'layer { name: "relu" type: "ReLU" bottom: "data" top: "out" }'
    )
    with pytest.raises(ModelError, match=f"'in'.*'{kind}', which brings no data by itself"):
        CaffeFrontend().network_data("net")


def test_only_the_data_layers_of_inputs_are_run() -> None:
    from amct_caffe.model.data_layers import own_data_layers

    more = 'layer { name: "unread" type: "DummyData" top: "unread" include { phase: TEST } }'
    write_network("", more=more)
    document = documents.read("net_fake_quant_model.prototxt")
    assert [layer.name for layer in own_data_layers(document)] == ["images"]


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(AmctError, match=r"absent_fake_quant_model\.prototxt"):
        CaffeFrontend().image_transform("absent")
