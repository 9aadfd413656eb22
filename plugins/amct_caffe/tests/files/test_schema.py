"""The schema: agreement with Caffe's own descriptor, Ascend's additions, private classes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from amct_caffe.model import schema
from amct_caffe.model.schema import fields
from amct_caffe.model.schema.encoding import encode
from amct_caffe.model.schema.pool import message_class, message_descriptor
from amct_core.textproto import parse
from tests import needs

FOLDER = Path(schema.__file__).parent
LABELS = {"optional": 1, "required": 2, "repeated": 3}


@pytest.fixture(scope="session")
def tables(shared: Path) -> Dict[str, Any]:
    """Return what was read from the caffe.proto files of AMCT and of atc."""
    file = shared / "reference/vectors/proto_tables.json"
    if not file.exists():
        pytest.skip(f"{file} is missing")
    read: Dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return read


def compiled() -> FileDescriptorSet:
    return FileDescriptorSet.FromString((FOLDER / "caffe.desc").read_bytes())


def facts(file: Any) -> Dict[str, Dict[str, Any]]:
    """Return the facts about each field of a FileDescriptorProto, by message."""
    prefix = f".{file.package}."
    return {
        message.name: {
            field.name: (
                field.number,
                field.type,
                field.label,
                field.type_name.replace(prefix, ""),
                field.HasField("default_value"),
                field.default_value,
                field.options.packed,
            )
            for field in message.field
        }
        for message in file.message_type
    }


def enums(file: Any) -> Dict[str, Dict[str, int]]:
    """Return names and numbers of the values of each enum of a FileDescriptorProto."""
    owned = [(f"{message.name}.", message.enum_type) for message in file.message_type]
    return {
        owner + enum.name: {value.name: value.number for value in enum.value}
        for owner, found in [("", file.enum_type), *owned]
        for enum in found
    }


@pytest.fixture(scope="session")
def caffes_own(caffe_pb2: Any) -> FileDescriptorProto:
    """Return the descriptor of the installed Caffe, if it is that of the package index."""
    needs.require_the_packaged_caffe()
    file = FileDescriptorProto()
    caffe_pb2.DESCRIPTOR.CopyToProto(file)
    return file


def test_the_checked_in_descriptors_are_those_of_the_proto_file(tmp_path: Path) -> None:
    target = tmp_path / "caffe.desc"
    protoc = [sys.executable, "-W", "ignore", "-m", "grpc_tools.protoc"]
    paths = [f"-I{FOLDER.parent.parent.parent}", f"--descriptor_set_out={target}"]
    subprocess.run([*protoc, *paths, str(FOLDER / "caffe.proto")], check=True)
    assert FileDescriptorSet.FromString(target.read_bytes()) == compiled(), "run make schema"


@pytest.mark.caffe
def test_every_field_of_caffes_descriptor_is_known_as_caffe_knows_it(
    caffes_own: FileDescriptorProto,
) -> None:
    theirs, ours = facts(caffes_own), facts(compiled().file[0])
    for message, known in theirs.items():
        assert known.items() <= ours[message].items(), message
    assert sum(map(len, theirs.values())) > 400


@pytest.mark.caffe
def test_every_enum_of_caffes_descriptor_is_known_as_caffe_knows_it(
    caffes_own: FileDescriptorProto,
) -> None:
    theirs, ours = enums(caffes_own), enums(compiled().file[0])
    for enum, values in theirs.items():
        assert values.items() <= ours[enum].items(), enum
    assert len(theirs) > 20


@pytest.mark.caffe
def test_all_that_caffe_does_not_have_is_of_ascends_proto(
    caffes_own: FileDescriptorProto, tables: Dict[str, Any]
) -> None:
    theirs, ours = facts(caffes_own), facts(compiled().file[0])
    added = {name: known.keys() - theirs.get(name, {}).keys() for name, known in ours.items()}
    for name in added.pop("LayerParameter"):
        number = ours["LayerParameter"][name][0]
        assert number == tables["LayerParameter_numbers"]["AMCT"][name], name
    for message, names in added.items():
        if names:
            assert names <= {row["name"] for row in tables["quant_messages_AMCT"][message]}


def test_ascends_messages_are_those_of_amct(tables: Dict[str, Any]) -> None:
    ours = facts(compiled().file[0])
    scalars = {name[5:].lower(): n for name, n in vars(FieldDescriptor).items() if "TYPE_" in name}
    checked = 0
    for message, rows in tables["quant_messages_AMCT"].items():
        if message not in ours or message == "PoolingParameter":  # Caffe's; see the next test
            continue
        for row in rows:
            number, type_, label, type_name, _, default, packed = ours[message][row["name"]]
            assert (number, label) == (row["number"], LABELS[row["label"]]), (message, row)
            assert row["type"] == type_name or scalars[row["type"]] == type_, (message, row)
            options = "default = " * bool(default) + default + "packed = true" * packed
            assert row["options"].strip("[]") == options, (message, row)
            checked += 1
    assert checked > 50


def test_atc_numbers_three_fields_otherwise(tables: Dict[str, Any]) -> None:
    read_by_atc = {
        message: {row["name"]: row["number"] for row in rows if row["label"] != "enum"}
        for message, rows in tables["quant_messages_ATC_2026"].items()
    }
    read_by_atc["LayerParameter"] = tables["LayerParameter_numbers"]["ATC_2026"]
    others = {
        field.name: read_by_atc[message][field.name]
        for message in ("LayerParameter", "BlobProto", "QuantParameter", "PoolingParameter")
        for field in message_descriptor(message).fields
        if read_by_atc[message].get(field.name, field.number) != field.number
    }
    expected = {"reverse_param": 157, "continuation_indicator_param": 5002, "round_mode": 14}
    assert others == expected


@pytest.mark.parametrize(
    ("message", "name", "number", "type_"),
    [
        ("BlobProto", "int8_data", 10, "bytes"),
        ("BlobProto", "int32_data", 11, "int32"),
        ("BlobProto", "uint64_data", 12, "uint64"),
        ("LayerParameter", "quant_param", 208, "message"),
        ("LayerParameter", "dequant_param", 200000, "message"),
        ("LayerParameter", "ifmr_param", 200001, "message"),
        ("LayerParameter", "lstm_quant_param", 200002, "message"),
        ("LayerParameter", "search_n_param", 200003, "message"),
        ("LayerParameter", "retrain_data_quant_param", 200004, "message"),
        ("LayerParameter", "retrain_weight_quant_param", 200005, "message"),
        ("LayerParameter", "lstm_calibration_param", 200006, "message"),
        ("QuantParameter", "scale", 2, "float"),
        ("QuantParameter", "offset", 3, "bytes"),
        ("DeQuantParameter", "deqscale", 20, "float"),
        ("RetrainDataQuantParameter", "clip_max", 1, "float"),
    ],
)
def test_ascends_additions_have_ascends_numbers(
    message: str, name: str, number: int, type_: str
) -> None:
    field = message_descriptor(message).fields_by_name[name]
    assert field.number == number
    assert field.type == getattr(FieldDescriptor, f"TYPE_{type_.upper()}")


def test_numbers_are_unique_within_each_message() -> None:
    for message in facts(compiled().file[0]):
        numbers = [field.number for field in message_descriptor(message).fields]
        assert len(set(numbers)) == len(numbers), message


def test_round_mode_has_caffes_number() -> None:
    assert fields.field_number("PoolingParameter", "round_mode") == 13
    assert encode(parse("round_mode: FLOOR"), "PoolingParameter") == bytes([13 << 3, 1])


def test_enum_values_have_caffes_numbers() -> None:
    pool = message_descriptor("PoolingParameter").fields_by_name["pool"]
    assert fields.enum_values(pool) == {"MAX": 0, "AVE": 1, "STOCHASTIC": 2}
    assert [fields.enum_name(pool, text) for text in ("AVE", "1", "7")] == ["AVE", "AVE", "7"]


@pytest.mark.parametrize(
    ("message", "name", "default"),
    [
        ("BatchNormParameter", "moving_average_fraction", 0.999),
        ("BatchNormParameter", "eps", 1e-5),
        ("ConvolutionParameter", "group", 1),
        ("ConvolutionParameter", "bias_term", True),
        ("ConvolutionParameter", "num_output", None),
        ("FillerParameter", "type", "constant"),
        ("WindowDataParameter", "root_folder", ""),
    ],
)
def test_defaults_are_the_values_that_caffes_proto_writes(
    message: str, name: str, default: Any
) -> None:
    found = fields.default_value(message_descriptor(message).fields_by_name[name])
    assert (found, type(found)) == (default, type(default))


def test_repeated_fields_are_told_apart() -> None:
    layer = message_descriptor("LayerParameter").fields_by_name
    assert fields.is_repeated(layer["bottom"])
    assert not fields.is_repeated(layer["name"])


def test_unknown_names_are_told_apart_from_known_ones() -> None:
    assert 2**40 not in fields.field_names("LayerParameter")
    with pytest.raises(KeyError):
        fields.field_number("LayerParameter", "no_such_param")
    with pytest.raises(KeyError):
        message_class("NoSuchMessage")


@pytest.mark.caffe
def test_own_classes_live_beside_caffes(caffe_pb2: Any) -> None:
    own = message_class("LayerParameter")
    theirs = caffe_pb2.LayerParameter
    assert own is not theirs
    layer = own(name="conv", type="Convolution")
    layer.convolution_param.kernel_size.append(3)
    read = theirs.FromString(layer.SerializeToString())
    assert (read.name, list(read.convolution_param.kernel_size)) == ("conv", [3])


def test_encoding_gives_what_protobuf_parses_back() -> None:
    tree = parse(
        """
        name: "q" type: "Quant" bottom: "a" bottom: "b" loss_weight: 0.5
        include { phase: TEST stage: "s" }
        param { lr_mult: 0 } param { share_mode: PERMISSIVE }
        pooling_param { pool: 1 global_pooling: true }
        quant_param { scale: 0.1 offset: "\\363" }
        eltwise_param { }
        """
    )
    layer = message_class("LayerParameter").FromString(encode(tree, "LayerParameter"))
    assert (layer.name, list(layer.bottom), list(layer.loss_weight)) == ("q", ["a", "b"], [0.5])
    assert (layer.include[0].phase, layer.include[0].stage[0]) == (1, "s")
    assert [spec.share_mode for spec in layer.param] == [0, 1]
    assert [spec.HasField("lr_mult") for spec in layer.param] == [True, False]
    assert layer.pooling_param.pool == 1
    assert layer.quant_param.offset == b"\xf3"
    assert layer.HasField("eltwise_param")
    assert not layer.HasField("lrn_param")


def test_fields_without_a_number_and_those_left_out_are_not_encoded() -> None:
    tree = parse('name: "x" my_param { a: 1 } my_field: 3 type: "T"')
    encoded = encode(tree, "LayerParameter", leave_out=frozenset({"type"}))
    assert encoded == b"\n\x01x"
