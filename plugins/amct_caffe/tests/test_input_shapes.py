"""What insertion knows of the shapes of network inputs, without Caffe."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

from amct_caffe.frontend import CaffeFrontend
from amct_caffe.model.formats.caffemodel import writer
from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.input_shapes import input_shapes
from amct_caffe.model.schema.pool import message_class
from amct_caffe.passes.inserted import read_inserted
from amct_core import record as records
from amct_core import workflow
from amct_core.errors import ConfigError, ModelError

Shape = tuple[int, ...]
CONVOLUTION = (
    'layer { name: "conv" type: "Convolution" bottom: "%s" top: "conv" '
    "convolution_param { num_output: 4 kernel_size: 3 } }\n"
)
INNER_PRODUCT = (
    'layer { name: "ip" type: "InnerProduct" bottom: "%s" top: "ip" '
    "inner_product_param { num_output: 4 } }\n"
)
PYTHON = (
    'layer { name: "source" type: "Python" top: "data" python_param { module: "m" layer: "D" } }\n'
)
WEIGHTS = {
    "conv": ("Convolution", (4, 3, 3, 3)),
    "ip": ("InnerProduct", (4, 24)),
}


def write(text: str, channels: int = 3) -> None:
    """Write net.prototxt and its weights in the current folder."""
    Path("net.prototxt").write_text(text)
    layers = [
        (name, kind, [np.ones(shape, np.float32), np.zeros(4, np.float32)])
        for name, (kind, shape) in {
            **WEIGHTS,
            "conv": ("Convolution", (4, channels, 3, 3)),
        }.items()
        if f'name: "{name}"' in text
    ]
    with open("net.caffemodel", "wb") as stream:
        writer.write(stream, "net", layers)


def shapes(text: str, channels: int = 3, **given: Shape) -> dict[str, Optional[Shape]]:
    """Return what insertion knows of the inputs of a network."""
    write(text, channels)
    views = CaffeFrontend().read("net.prototxt", "net.caffemodel")
    layers = documents.read("net.prototxt").layers_in("TEST")
    return dict(input_shapes(layers, views.test, given, "c.json").deployed)


def insert(text: str, config: Optional[dict[str, Any]] = None, **given: Shape) -> None:
    write(text)
    workflow.create_config("net.prototxt", "net.caffemodel", "c.json")
    if config is not None:
        entries = json.loads(Path("c.json").read_text())
        Path("c.json").write_text(json.dumps({**entries, **config}))
    original = "net.prototxt", "net.caffemodel", "c.json"
    workflow.insert(*original, "m.prototxt", "m.caffemodel", "r.txt", input_shapes=given)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def database(more: str = "", backend: str = "LMDB") -> str:
    return (
        'layer { name: "source" type: "Data" top: "data" top: "label" '
        f"transform_param {{ {more} }} "
        f'data_param {{ source: "data_lmdb" backend: {backend} batch_size: 8 }} }}\n'
    )


def put_datum(**fields: Any) -> None:
    lmdb = pytest.importorskip("lmdb")
    with (
        lmdb.open("data_lmdb", map_size=1 << 20) as environment,
        environment.begin(write=True) as transaction,
    ):
        transaction.put(b"00", message_class("Datum")(**fields).SerializeToString())
        transaction.put(b"01", message_class("Datum")(channels=9).SerializeToString())


def picture(mode: str = "RGB", orientation: int = 1, kind: str = "JPEG") -> bytes:
    """Return an image 10 wide and 12 high."""
    image = pytest.importorskip("PIL.Image").new(mode, (10, 12))
    exif = image.getexif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    image.save(stream, kind, exif=exif.tobytes())
    return stream.getvalue()


class TestLmdb:
    def test_the_first_datum_tells_the_shape(self) -> None:
        put_datum(channels=3, height=12, width=10)
        assert shapes(database() + CONVOLUTION % "data") == {"data": (8, 3, 12, 10)}

    def test_of_an_encoded_one_the_image_header(self) -> None:
        put_datum(data=picture(), encoded=True)
        assert shapes(database() + CONVOLUTION % "data") == {"data": (8, 3, 12, 10)}

    def test_a_gray_one_has_one_channel_unless_it_is_made_coloured(self) -> None:
        put_datum(data=picture("L", kind="PNG"), encoded=True)
        assert shapes(database() + CONVOLUTION % "data", 1) == {"data": (8, 1, 12, 10)}
        coloured = database("force_color: true")
        assert shapes(coloured + CONVOLUTION % "data") == {"data": (8, 3, 12, 10)}

    def test_a_crop_is_what_the_network_gets(self) -> None:
        """Without weights behind it that tell the channels, only the file does."""
        put_datum(channels=6, height=12, width=10)
        text = database("crop_size: 9") + _SLICE + CONVOLUTION % "b"
        assert shapes(text) == {"data": (8, 6, 9, 9)}

    @pytest.mark.parametrize("backend", ["LMDB", "LEVELDB"])
    def test_without_it_insertion_goes_on(
        self, backend: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, "amct_caffe"):
            found = shapes(database(backend=backend) + CONVOLUTION % "data")
        assert found == {"data": None}
        assert "layer 'source': its files do not tell the shape" in caplog.text


_RESHAPE = (
    'layer { name: "reshape" type: "Reshape" bottom: "conv" top: "rows" '
    "reshape_param { shape { %s } } }\n"
)
_SLICE = 'layer { name: "cut" type: "Slice" bottom: "data" top: "a" top: "b" }\n'


class TestHdf5:
    TEXT = (
        'layer { name: "source" type: "HDF5Data" top: "label" top: "data" '
        'hdf5_data_param { source: "files.txt" batch_size: 8 } }\n'
    )

    @pytest.mark.parametrize("sample", [(24,), (3, 4, 2)])
    def test_the_data_set_of_the_tops_name_tells_the_shape(self, sample: Shape) -> None:
        h5py = pytest.importorskip("h5py")
        with h5py.File("first.h5", "w") as file:
            file["data"], file["label"] = np.zeros((5, *sample)), np.zeros(5)
        Path("files.txt").write_text("first.h5\nsecond.h5\n")
        assert shapes(self.TEXT + INNER_PRODUCT % "data") == {"data": (8, *sample)}

    def test_without_it_insertion_goes_on(self) -> None:
        assert shapes(self.TEXT + INNER_PRODUCT % "data") == {"data": None}

    def test_a_file_that_is_none_does_not_matter(self) -> None:
        Path("files.txt").write_text("files.txt\n")
        assert shapes(self.TEXT + INNER_PRODUCT % "data") == {"data": None}


class TestImages:
    TEXT = (
        'layer { name: "source" type: "ImageData" top: "data" top: "label" '
        'image_data_param { source: "list.txt" root_folder: "images/" batch_size: 8 %s } }\n'
    )

    def put(self, content: bytes) -> None:
        Path("images").mkdir()
        Path("images/a b.jpg").write_bytes(content)
        Path("list.txt").write_text("a b.jpg 3\nnot there.jpg 4\n")

    def test_the_first_image_tells_the_shape(self) -> None:
        self.put(picture("L"))
        text = self.TEXT % "" + CONVOLUTION % "data"
        assert shapes(text) == {"data": (8, 3, 12, 10)}

    def test_a_gray_one(self) -> None:
        self.put(picture())
        text = self.TEXT % "is_color: false" + CONVOLUTION % "data"
        assert shapes(text, 1) == {"data": (8, 1, 12, 10)}

    def test_one_that_is_turned_by_some_versions_of_opencv_tells_nothing(self) -> None:
        self.put(picture(orientation=6))
        assert shapes(self.TEXT % "" + CONVOLUTION % "data") == {"data": None}

    def test_without_it_insertion_goes_on(self) -> None:
        assert shapes(self.TEXT % "" + CONVOLUTION % "data") == {"data": None}


class TestChannels:
    """What reads a database's cropped images tells how many channels they have."""

    CROPPED = database("crop_size: 9")

    def test_through_layers_that_keep_the_channels(self) -> None:
        text = (
            self.CROPPED
            + 'layer { name: "pow" type: "Power" bottom: "data" top: "data" }\n'
            + 'layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" '
            + "pooling_param { kernel_size: 2 } }\n"
            + CONVOLUTION % "pool"
        )
        assert shapes(text) == {"data": (8, 3, 9, 9)}

    def test_through_a_slice_into_equal_parts(self) -> None:
        assert shapes(self.CROPPED + _SLICE + CONVOLUTION % "a") == {"data": (8, 6, 9, 9)}

    def test_through_a_slice_by_its_last_point_and_part(self) -> None:
        cut = _SLICE.replace(" }\n", " slice_param { slice_dim: 1 slice_point: 1 } }\n")
        assert shapes(self.CROPPED + cut + CONVOLUTION % "b") == {"data": (8, 4, 9, 9)}
        assert shapes(self.CROPPED + cut + CONVOLUTION % "a") == {"data": None}


class TestGiven:
    """--input-shape and the config's input_shapes."""

    TEXT = PYTHON + CONVOLUTION % "data"
    INPUT = (
        'layer { name: "source" type: "Input" top: "data" '
        "input_param { shape { dim: 8 dim: 3 dim: 9 dim: 9 } } }\n"
    )

    def test_it_is_in_the_modified_model(self) -> None:
        insert(self.TEXT, data=(2, 3, 8, 8))
        qat = read_inserted(documents.read("m.prototxt"))
        assert qat.activations[0][1].input_shapes == {"data": (2, 3, 8, 8)}
        assert not qat.recorders
        assert list(records.read("r.txt")) == ["conv"]

    def test_the_configs_too_and_the_option_wins(self) -> None:
        insert(self.TEXT, {"input_shapes": {"data": [2, 3, 8, 8]}})
        qat = read_inserted(documents.read("m.prototxt"))
        assert qat.activations[0][1].input_shapes == {"data": (2, 3, 8, 8)}
        insert(self.TEXT, {"input_shapes": {"data": [2, 3, 8, 8]}}, data=(1, 3, 9, 9))
        qat = read_inserted(documents.read("m.prototxt"))
        assert qat.activations[0][1].input_shapes == {"data": (1, 3, 9, 9)}

    def test_without_it_a_layer_records_it(self) -> None:
        insert(PYTHON + _SLICE + CONVOLUTION % "a")
        qat = read_inserted(documents.read("m.prototxt"))
        assert qat.activations[0][1].input_shapes is None
        assert [each.blob for each in qat.recorders] == ["data"]
        assert list(records.read("r.txt")) == ["conv", "data_input_shape"]

    @pytest.mark.parametrize("reader", [CONVOLUTION, INNER_PRODUCT])
    def test_or_the_activation_layer_of_a_quantized_layer_that_reads_it(self, reader: str) -> None:
        power = 'layer { name: "p" type: "Power" bottom: "data" top: "p" }\n'
        insert(PYTHON + power + reader % "p")
        qat = read_inserted(documents.read("m.prototxt"))
        assert [each.sees_input for _, each in qat.activations] == ["data"]
        assert not qat.recorders
        assert len(records.read("r.txt")) == 1

    def test_another_batch_size_than_the_data_layers_is_the_users_choice(self) -> None:
        assert shapes(self.INPUT + CONVOLUTION % "data", data=(1, 3, 9, 9)) == {
            "data": (1, 3, 9, 9)
        }

    def test_a_fixed_reshape_tells_the_batch_size_of_training(self) -> None:
        """A Python layer does not; the deployed network has the one that is given."""
        insert(self.TEXT + _RESHAPE % "dim: 64 dim: 144", data=(1, 3, 8, 8))
        reshape = documents.read("m.prototxt").by_name()["reshape"][0].parameters("reshape_param")
        assert reshape.message("shape").integers("dim") == [0, 144]

    def test_an_unknown_input_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"c\.json.*'image', which is no input.* are data"):
            insert(self.TEXT, image=(1, 3, 8, 8))

    def test_what_contradicts_the_data_layer_is_refused(self) -> None:
        with pytest.raises(
            ConfigError, match=r"1 x 3 x 8 x 8; layer 'source' of 'net.prototxt' says 8 x 3 x 9 x 9"
        ):
            insert(self.INPUT + CONVOLUTION % "data", data=(1, 3, 8, 8))

    @pytest.mark.parametrize(
        ("text", "shape", "expected"),
        [
            (
                CONVOLUTION % "data",
                (1, 4, 8, 8),
                r"'conv'.*1 x 4 x 8 x 8.*4 x 3 x 3 x 3.*3 channel",
            ),
            (CONVOLUTION % "data", (1, 3, 8), r"'conv'.*1 x 3 x 8.*an input of 4 axes"),
            (CONVOLUTION % "data", (1, 3, 2, 8), r"'conv'.*too small"),
            (INNER_PRODUCT % "data", (1, 23), r"'ip'.*1 x 23.*4 x 24.*24 values"),
            (INNER_PRODUCT % "data", (1, 3, 4, 3), r"'ip'.*1 x 3 x 4 x 3.*24 values"),
        ],
    )
    def test_what_contradicts_the_weights_is_refused(
        self, text: str, shape: Shape, expected: str
    ) -> None:
        with pytest.raises(ModelError, match=expected):
            insert(PYTHON + text, data=shape)

    @pytest.mark.parametrize("dims", [[], "1,3", [1, -1], [1, 2.0], [True, 2], {}])
    def test_what_is_no_shape_is_refused(self, dims: Any) -> None:
        with pytest.raises(ConfigError, match=r"input_shapes\.data"):
            insert(self.TEXT, {"input_shapes": {"data": dims}})


def test_a_data_layer_that_does_not_fit_the_weights_is_refused() -> None:
    """Caffe would end the process when training sets up the network."""
    with pytest.raises(ModelError, match=r"'conv'.*8 x 3 x 9 x 9.*4 x 5 x 3 x 3.*5 channels"):
        shapes(TestGiven.INPUT + CONVOLUTION % "data", channels=5)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        (TestGiven.TEXT, {"image": (1, 3, 8, 8)}),
        (TestGiven.INPUT + CONVOLUTION % "data", {"data": (1, 3, 8, 8)}),
        (TestGiven.TEXT, {"data": (1, 4, 8, 8)}),
        (TestGiven.INPUT + CONVOLUTION % "data" + _RESHAPE % "dim: 4 dim: -1", {}),
        (TestGiven.TEXT + _RESHAPE % "dim: 8 dim: -1", {}),
    ],
    ids=["no input", "data layer", "weights", "mixed samples", "unknown batch size"],
)
def test_what_is_refused_leaves_no_file(text: str, given: dict[str, Shape]) -> None:
    with pytest.raises((ConfigError, ModelError)):
        insert(text, **given)
    written = {path.name for path in Path().iterdir()}
    assert written == {"net.prototxt", "net.caffemodel", "c.json"}
