"""The schema: agreement with Caffe's own descriptor, Ascend's additions, private classes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from amct_caffe.model.schema import fields
from amct_caffe.model.schema.encoding import encode
from amct_caffe.model.schema.fields import ASCEND
from amct_caffe.model.schema.pool import message_class
from amct_core.textproto import parse


@pytest.mark.caffe
def test_every_field_of_caffes_descriptor_is_known_with_its_number_and_type(caffe_pb2: Any) -> None:
    checked = 0
    for name, descriptor in caffe_pb2.DESCRIPTOR.message_types_by_name.items():
        own = message_class(name).DESCRIPTOR
        for field in descriptor.fields:
            mine = own.fields_by_name[field.name]
            assert (mine.number, mine.type) == (field.number, field.type), (name, field.name)
            assert mine.default_value == field.default_value
            assert mine.GetOptions().packed == field.GetOptions().packed
            if field.enum_type is not None:
                assert {v.name: v.number for v in field.enum_type.values}.items() <= {
                    v.name: v.number for v in mine.enum_type.values
                }.items()
            checked += 1
    assert checked > 400


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
    spec = fields.fields_of(message)[name]
    assert (spec.number, spec.type) == (number, type_)


def test_numbers_are_unique_within_each_message() -> None:
    for message, known in fields.all_messages().items():
        numbers = [spec.number for spec in known.values()]
        assert len(set(numbers)) == len(numbers), message


def test_round_mode_has_caffes_number_and_ascends() -> None:
    assert fields.field_number("PoolingParameter", "round_mode") == 13
    assert fields.field_number("PoolingParameter", "round_mode", ASCEND) == 14
    assert fields.field_number("PoolingParameter", "pool", ASCEND) == 1
    pooling = parse("round_mode: FLOOR")
    assert encode(pooling, "PoolingParameter") == bytes([13 << 3, 1])
    assert encode(pooling, "PoolingParameter", ASCEND) == bytes([14 << 3, 1])


def test_enum_values_have_caffes_numbers() -> None:
    assert fields.enum_values("Phase") == {"TRAIN": 0, "TEST": 1}
    pool = fields.fields_of("PoolingParameter")["pool"]
    assert pool.enum_values == {"MAX": 0, "AVE": 1, "STOCHASTIC": 2}


def test_unknown_names_are_told_apart_from_known_ones() -> None:
    assert fields.find_field("LayerParameter", "no_such_param") is None
    assert fields.find_field("NoSuchMessage", "name") is None
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


def test_looking_fields_up_needs_no_protobuf() -> None:
    code = (
        "import sys; from amct_caffe.model.schema import fields, encoding, pool, validation;"
        "fields.field_number('LayerParameter', 'name');"
        "sys.exit('google.protobuf' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
