"""Files of other Caffes and languages, from config to insertion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import amct_caffe
from amct_caffe.model.formats.caffemodel import reader
from amct_caffe.model.formats.caffemodel.wire import (
    VARINT,
    encode_bytes,
    encode_tag,
    encode_varint,
)
from plugins.amct_caffe.tests.checks.float_models import (
    CONFIG,
    MODEL,
    MODIFIED,
    NETWORK,
    WEIGHTS,
    FloatModel,
    weights,
)

FLOAT = 1
"""NVIDIA's number of float32."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder with the model, which a test changes."""
    monkeypatch.chdir(tmp_path)
    FloatModel().write(tmp_path)
    return tmp_path


def insert() -> None:
    amct_caffe.create_quant_retrain_config(CONFIG, MODEL, WEIGHTS)
    amct_caffe.create_quant_retrain_model(MODEL, WEIGHTS, CONFIG, *MODIFIED)


def test_a_comment_in_gbk_does_not_matter(folder: Path) -> None:
    (folder / MODEL).write_bytes("# 第一层\n".encode("gbk") + NETWORK.encode())
    insert()
    assert "ip_activation_qat" in (folder / MODIFIED[0]).read_text()


def test_an_engine_of_another_caffe_is_kept(folder: Path) -> None:
    engine = "engine: MKL2017"
    changed = NETWORK.replace("convolution_param {", f"convolution_param {{ {engine}")
    (folder / MODEL).write_text(changed)
    insert()
    assert engine in (folder / MODIFIED[0]).read_text()


def test_weights_of_nvidias_caffe_are_trained_on(folder: Path) -> None:
    layers = (_layer(name, blobs) for name, blobs in weights().items())
    (folder / WEIGHTS).write_bytes(b"".join(layers))
    insert()
    master = reader.read(MODIFIED[1]).by_name()["ip_weight_qat"].blobs[0]
    np.testing.assert_array_equal(master, weights()["ip"][0])


def _layer(name: str, blobs: Any) -> bytes:
    return encode_bytes(
        100,
        encode_bytes(1, name.encode()) + b"".join(encode_bytes(7, _raw(each)) for each in blobs),
    )


def _raw(array: Any) -> bytes:
    shape = encode_bytes(1, b"".join(encode_varint(size) for size in array.shape))
    kind = encode_tag(10, VARINT) + encode_varint(FLOAT)
    return encode_bytes(7, shape) + kind + encode_bytes(12, array.astype("<f4").tobytes())
