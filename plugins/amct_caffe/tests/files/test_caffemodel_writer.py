"""Writing weights files: second readers are protobuf, and Caffe itself."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from amct_caffe.model.formats.caffemodel import reader, writer
from amct_caffe.model.schema.encoding import encode
from amct_caffe.model.schema.pool import message_class
from amct_core.errors import ModelError
from amct_core.textproto import parse

SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
BLOBS = st.sampled_from([np.float32, np.int8, np.int32, np.uint64]).flatmap(
    lambda dtype: arrays.arrays(dtype, SHAPES)
)


def written(layers: Any, **others: Any) -> bytes:
    """Return the file that ``write`` makes."""
    stream = io.BytesIO()
    writer.write(stream, "net", layers, **others)
    return stream.getvalue()


@given(st.lists(st.lists(BLOBS, max_size=3), max_size=3))
def test_protobuf_reads_what_was_written(layers: List[List[Any]]) -> None:
    data = written([(f"layer{i}", "Type", blobs) for i, blobs in enumerate(layers)])
    net = message_class("NetParameter").FromString(data)
    assert net.name == "net"
    assert [(layer.name, layer.type) for layer in net.layer] == [
        (f"layer{i}", "Type") for i in range(len(layers))
    ]
    for layer, blobs in zip(net.layer, layers):
        for proto, blob in zip(layer.blobs, blobs):
            assert tuple(proto.shape.dim) == blob.shape
            fields = {"float32": "data", "int32": "int32_data", "uint64": "uint64_data"}
            if blob.dtype == np.int8:
                assert proto.int8_data == blob.tobytes()
            else:
                found = np.array(getattr(proto, fields[blob.dtype.name]), blob.dtype)
                np.testing.assert_array_equal(found, blob.ravel())


@given(st.lists(BLOBS, min_size=1, max_size=3))
def test_the_reader_reads_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, blobs: List[Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.caffemodel"
    path.write_bytes(written([("layer", "Type", blobs)]))
    found = reader.read(path).layers[0].blobs
    for own, blob in zip(found, blobs):
        if blob.size:
            assert own.dtype == blob.dtype
        np.testing.assert_array_equal(own, blob)


def test_the_bytes_are_the_documented_format() -> None:
    data = written([("a", "T", [np.array([[1, 2]], np.float32)])])
    assert data.hex(" ") == " ".join(
        [
            "0a 03 6e 65 74",  # field 1, 3 bytes: "net"
            "a2 06 18",  # field 100, 24 bytes: the layer
            "0a 01 61",  # field 1: "a"
            "12 01 54",  # field 2: "T"
            "3a 10",  # field 7, 16 bytes: the blob
            "3a 04 0a 02 01 02",  # field 7: the shape, with field 1: 1, 2
            "2a 08 00 00 80 3f 00 00 00 40",  # field 5: 1.0, 2.0
        ]
    )


def test_other_fields_of_a_layer_are_written_beside_its_blobs() -> None:
    text = parse('name: "a" type: "ReLU" bottom: "x" relu_param { negative_slope: 0.5 } new: 1')
    others = {"a": encode(text, "LayerParameter")}
    data = written([("a", "ReLU", [np.zeros(1, np.float32)])], others=others)
    (layer,) = message_class("NetParameter").FromString(data).layer
    assert (layer.name, list(layer.bottom), layer.relu_param.negative_slope) == ("a", ["x"], 0.5)


def test_any_floats_become_float32_and_strides_do_not_matter() -> None:
    blob = np.arange(6, dtype=np.float64).reshape(2, 3).T
    (layer,) = message_class("NetParameter").FromString(written([("a", "T", [blob])])).layer
    assert list(layer.blobs[0].data) == [0, 3, 1, 4, 2, 5]
    assert list(layer.blobs[0].shape.dim) == [3, 2]


def test_a_type_that_the_format_does_not_have_is_refused() -> None:
    with pytest.raises(ModelError, match="int64") as caught:
        written([("a", "T", [np.zeros(1, np.int64)])])
    assert caught.value.layer == "a"


PROTOTXT = """
name: "net"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 2, 5, 5] } } }
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 3 kernel_size: 3 }
}
layer {
  name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 4 bias_term: false }
}
"""


@pytest.mark.caffe
def test_caffe_loads_what_was_written(caffe: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    weights = {
        "conv": [random.normal(size=(3, 2, 3, 3)), random.normal(size=3)],
        "ip": [random.normal(size=(4, 27))],
    }
    model, file = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    model.write_text(PROTOTXT)
    file.write_bytes(
        written([("conv", "Convolution", weights["conv"]), ("ip", "InnerProduct", weights["ip"])])
    )
    net = caffe.Net(str(model), caffe.TEST)
    net.copy_from(str(file))
    for name, blobs in weights.items():
        for blob, expected in zip(net.params[name], blobs):
            np.testing.assert_array_equal(blob.data, expected.astype(np.float32))


@pytest.mark.caffe
def test_what_caffe_saves_is_read_and_written_again_to_the_same_message(
    caffe: Any, caffe_pb2: Any, tmp_path: Path
) -> None:
    model, file = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    model.write_text(PROTOTXT)
    caffe.Net(str(model), caffe.TEST).save(str(file))
    read = reader.read(file)
    data = written(
        [(layer.name, layer.type, layer.blobs) for layer in read.layers],
        others={layer.name: layer.other for layer in read.layers},
    )
    assert caffe_pb2.NetParameter.FromString(data) == caffe_pb2.NetParameter.FromString(
        file.read_bytes()
    )
