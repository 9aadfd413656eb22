"""Reading weights files: every encoding of a blob, old formats, damage."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any, Callable, List, Tuple, Union

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_caffe.model.formats.caffemodel import reader, wire
from amct_caffe.model.formats.caffemodel.model import CaffeModel
from amct_caffe.model.schema.pool import message_class
from amct_core.errors import FileFormatError

NET = message_class("NetParameter")


def one_layer(**blob: Any) -> Any:
    """Return a net of one Convolution layer with one blob."""
    net = NET(name="net")
    layer = net.layer.add(name="conv", type="Convolution")
    layer.blobs.add(**blob)
    return net


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Any], CaffeModel]:
    """Return a reader of protobuf messages (or bytes) by way of a file."""

    def read_message(net: Any) -> CaffeModel:
        path = tmp_path / "net.caffemodel"
        path.write_bytes(net if isinstance(net, bytes) else net.SerializeToString())
        return reader.read(path)

    return read_message


Read = Callable[[Any], CaffeModel]


def only_blob(model: CaffeModel) -> Any:
    """Return the one blob of :func:`one_layer`."""
    return model.layers[0].blobs[0]


VALUES = np.arange(-3, 3, dtype=np.float32).reshape(1, 2, 3) / 7


def test_floats_are_read_only_views_of_the_file(read: Read) -> None:
    blob = only_blob(read(one_layer(shape={"dim": [1, 2, 3]}, data=VALUES.ravel())))
    assert blob.dtype == np.float32
    np.testing.assert_array_equal(blob, VALUES)
    assert not blob.flags.writeable
    base = blob
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base.obj if isinstance(base, memoryview) else base, mmap.mmap)


def test_doubles_become_float32(read: Read) -> None:
    blob = only_blob(read(one_layer(shape={"dim": [6]}, double_data=[0.1] * 6)))
    assert blob.dtype == np.float32
    np.testing.assert_array_equal(blob, np.full(6, np.float32(0.1)))


@pytest.mark.parametrize(
    ("field", "dtype", "values"),
    [
        ("int32_data", np.int32, [0, 1, -1, 2**31 - 1, -(2**31), 300]),
        ("uint64_data", np.uint64, [0, 1, 127, 128, 2**63, 2**64 - 1]),
    ],
)
def test_ascends_integers_are_decoded(read: Read, field: str, dtype: Any, values: Any) -> None:
    blob = only_blob(read(one_layer(shape={"dim": [2, 3]}, **{field: values})))
    assert (blob.dtype, blob.shape) == (dtype, (2, 3))
    assert blob.ravel().tolist() == values


def test_ascends_int8_is_a_view_of_its_bytes(read: Read) -> None:
    blob = only_blob(read(one_layer(shape={"dim": [4]}, int8_data=b"\x00\x7f\x80\xff")))
    assert blob.dtype == np.int8
    assert blob.tolist() == [0, 127, -128, -1]
    assert not blob.flags.owndata


def test_floats_that_are_not_packed_are_read(read: Read) -> None:
    shape = wire.encode_bytes(7, b"\x08\x01\x08\x02\x08\x03")  # dims that are not packed either
    data = b"".join(wire.encode_tag(5, wire.FIXED32) + v.tobytes() for v in VALUES.ravel())
    blob = wire.encode_bytes(7, shape + data)
    layer = wire.encode_bytes(1, b"conv") + blob
    np.testing.assert_array_equal(only_blob(read(wire.encode_bytes(100, layer))), VALUES)


def test_data_in_several_packed_pieces_is_joined(read: Read) -> None:
    pieces = [wire.encode_bytes(5, part.tobytes()) for part in np.split(VALUES.ravel(), 3)]
    blob = wire.encode_bytes(7, wire.encode_bytes(7, b"\x0a\x01\x06") + b"".join(pieces))
    layer = wire.encode_bytes(1, b"conv") + blob
    np.testing.assert_array_equal(only_blob(read(wire.encode_bytes(100, layer))), VALUES.ravel())


def test_legacy_shapes_have_four_dimensions(read: Read) -> None:
    net = one_layer(num=1, channels=1, height=2, width=3, data=VALUES.ravel())
    assert only_blob(read(net)).shape == (1, 1, 2, 3)


def test_the_legacy_shape_counts_before_the_present_one_as_in_caffe(read: Read) -> None:
    net = one_layer(num=1, channels=1, height=2, width=3, shape={"dim": [6]}, data=VALUES.ravel())
    assert only_blob(read(net)).shape == (1, 1, 2, 3)


def test_a_blob_without_dimensions_is_one_value(read: Read) -> None:
    assert only_blob(read(one_layer(shape={}, data=[2.0]))).shape == ()


def test_gradients_are_passed_over(read: Read) -> None:
    net = one_layer(shape={"dim": [2]}, data=[1, 2], diff=[3, 4])
    assert only_blob(read(net)).tolist() == [1, 2]


def test_layers_keep_their_order_types_and_other_fields(read: Read) -> None:
    net = NET(name="net")
    first = net.layer.add(name="data", type="Input", top=["data"])
    second = net.layer.add(name="ip", type="InnerProduct", bottom=["data"], top=["ip"])
    second.inner_product_param.num_output = 2
    second.blobs.add(shape={"dim": [2]}, data=[1, 2])
    model = read(net)
    assert model.name == "net"
    assert [(layer.name, layer.type) for layer in model.layers] == [
        ("data", "Input"),
        ("ip", "InnerProduct"),
    ]
    for layer in (first, second):
        for field in ("name", "type", "blobs"):
            layer.ClearField(field)
    assert [layer.other for layer in model.layers] == [
        first.SerializeToString(),
        second.SerializeToString(),
    ]
    assert list(model.by_name()) == ["ip"]


def test_v1_files_get_present_types(read: Read) -> None:
    net = NET(name="old")
    layer = net.layers.add(name="ip1", type=14, blobs_lr=[1, 2])
    layer.blobs.add(num=1, channels=1, height=2, width=1, data=[1, 2])
    net.layers.add(name="loss", type=21)
    model = read(net)
    assert [(layer.name, layer.type) for layer in model.layers] == [
        ("ip1", "InnerProduct"),
        ("loss", "SoftmaxWithLoss"),
    ]
    assert only_blob(model).shape == (1, 1, 2, 1)


def with_v0_layer() -> Any:
    net = NET()
    net.layers.add().layer.name = "conv1"
    return net


def with_both_kinds() -> Any:
    net = one_layer(shape={"dim": [1]}, data=[1])
    net.layers.add(name="old", type=4)
    return net


def with_one_name_twice() -> Any:
    net = one_layer(shape={"dim": [1]}, data=[1])
    net.layer.add().CopyFrom(net.layer[0])
    return net


@pytest.mark.parametrize(
    ("net", "problem"),
    [
        (with_v0_layer(), "V0 format"),
        (with_both_kinds(), "both 'layer' and 'layers'"),
        (NET(name="x"), "holds no layer"),
        (b"", "holds no layer"),
        (b"name: 'LeNet'\nlayer { }\n", "byte 0"),
        (b"\x89HDF\r\n\x1a\n\0\0\0", "HDF5"),
        (one_layer(shape={"dim": [2]}, data=[1]), "found 1 elements in data; expected 2"),
        (one_layer(shape={"dim": [2]}), "found 0 elements in data; expected 2"),
        (one_layer(shape={"dim": [-2]}, data=[]), "expected -2"),
        (one_layer(shape={"dim": [-1, -1]}, data=[1]), "its shape (-1, -1)"),
        (one_layer(shape={"dim": [3]}, int8_data=b"ab"), "found 2 elements in int8_data"),
        (b"\xa2\x06\x04\x3a\x02\x28\x01", "does not fit its type"),  # data as one integer
        (b"\xa2\x06\x07\x3a\x05\x2a\x03\x01\x02\x03", "expected a multiple of 4"),
        (b"\xa2\x06\x04\x3a\x02\x0a\x00", "field 1 is empty; expected a size"),  # packed num
        (b"\xa0\x06\x01", "expected 2"),  # layer as an integer
    ],
)
def test_what_cannot_be_read_gives_one_error_that_names_the_file(
    read: Read, net: Any, problem: str
) -> None:
    with pytest.raises(FileFormatError, match="caffemodel") as caught:
        read(net)
    assert str(caught.value.file).endswith("net.caffemodel")
    assert problem in str(caught.value)
    assert caught.value.remedy


def test_a_blob_that_does_not_fit_is_named_with_layer_and_index(read: Read) -> None:
    net = one_layer(shape={"dim": [1]}, data=[1])
    net.layer[0].blobs.add(shape={"dim": [2, 2]}, data=[1, 2, 3])
    with pytest.raises(FileFormatError) as caught:
        read(net)
    assert (caught.value.layer, caught.value.field) == ("conv", "blobs[1]")


def test_two_layers_with_weights_of_one_name_are_refused(read: Read) -> None:
    with pytest.raises(FileFormatError) as caught:
        read(with_one_name_twice()).by_name()
    assert caught.value.layer == "conv"


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="cannot be read"):
        reader.read(tmp_path / "none.caffemodel")


def read_or_error(path: Path) -> Union[CaffeModel, FileFormatError]:
    try:
        return reader.read(path)
    except FileFormatError as error:
        return error


@given(data=st.data())
def test_every_truncation_is_an_error_or_leaves_whole_layers(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    net = one_layer(shape={"dim": [2, 3]}, data=VALUES.ravel())
    net.layer.add(name="two", type="Scale").blobs.add(shape={"dim": [1]}, data=[1])
    whole = net.SerializeToString()
    size = data.draw(st.integers(0, len(whole) - 1))
    path = tmp_path_factory.getbasetemp() / "cut.caffemodel"
    path.write_bytes(whole[:size])
    result = read_or_error(path)
    if isinstance(result, FileFormatError):
        assert result.file == str(path)
    else:
        assert [layer.name for layer in result.layers] == ["conv"]


@given(flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4))
def test_damaged_bytes_never_give_another_kind_of_error(
    tmp_path_factory: pytest.TempPathFactory, flips: List[Tuple[int, int]]
) -> None:
    damaged = bytearray(one_layer(shape={"dim": [2, 3]}, data=VALUES.ravel()).SerializeToString())
    for position, value in flips:
        damaged[position % len(damaged)] = value
    path = tmp_path_factory.getbasetemp() / "damaged.caffemodel"
    path.write_bytes(damaged)
    result = read_or_error(path)
    assert result.file == str(path)


REAL = [
    "lenet/lenet_iter_10000.caffemodel",
    "resnet20_cifar/resnet20.caffemodel",
    "squeezenet/squeezenet_v1.0.caffemodel",
    "open_nsfw/resnet_50_1by2_nsfw.caffemodel",
    "ultralight_face/RFB-320.caffemodel",
]


@pytest.mark.parametrize("name", REAL)
def test_real_files_hold_what_protobuf_reads_in_them(models: Path, name: str) -> None:
    ours = reader.read(models / name)
    theirs = NET.FromString((models / name).read_bytes())
    layers = list(theirs.layer) or list(theirs.layers)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in layers]
    blobs = 0
    for own, layer in zip(ours.layers, layers):
        assert len(own.blobs) == len(layer.blobs)
        for array, blob in zip(own.blobs, layer.blobs):
            np.testing.assert_array_equal(array.ravel(), np.array(blob.data, np.float32))
            blobs += 1
    assert blobs > 0
