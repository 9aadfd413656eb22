"""``create_quant_config``: AMCT's call, and which of a Caffe network's layers it lists."""

from __future__ import annotations

import inspect
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import amct_caffe as amct
from amct_caffe.model.formats.caffemodel import writer
from amct_core.errors import ConfigError, ModelError

NETWORK = """
input: "data" input_shape { dim: 1 dim: 4 dim: 8 dim: 8 }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 bias_term: false } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "up" type: "Deconvolution" bottom: "conv" top: "up"
  convolution_param { num_output: 4 kernel_size: 2 stride: 2 group: 2 bias_term: false } }
layer { name: "pool" type: "Pooling" bottom: "up" top: "pool"
  pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "max" type: "Pooling" bottom: "pool" top: "max"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "test_only" type: "Convolution" bottom: "max" top: "test_only"
  include { phase: TEST }
  convolution_param { num_output: 4 kernel_size: 1 bias_term: false } }
layer { name: "transposed" type: "InnerProduct" bottom: "test_only" top: "transposed"
  include { phase: TEST }
  inner_product_param { num_output: 4 transpose: true bias_term: false } }
layer { name: "fc" type: "InnerProduct" bottom: "max" top: "fc"
  inner_product_param { num_output: 3 bias_term: false } }
"""
SHAPES: Mapping[str, Sequence[int]] = {
    "conv": (4, 4, 3, 3),
    "up": (4, 2, 2, 2),
    "test_only": (4, 4, 1, 1),
    "transposed": (64, 4),
    "fc": (3, 64),
}
TYPES = {"conv": "Convolution", "up": "Deconvolution", "test_only": "Convolution"}
QUANTIZABLE = ["conv", "up", "pool", "test_only", "fc"]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A network's prototxt and caffemodel, with relative paths, as AMCT's samples have them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("amct_core.logging.configure", lambda: None)
    Path("n.prototxt").write_text(NETWORK)
    with Path("n.caffemodel").open("wb") as stream:
        writer.write(
            stream,
            "n",
            [
                (name, TYPES.get(name, "InnerProduct"), [np.ones(shape, np.float32)])
                for name, shape in SHAPES.items()
            ],
        )
    return "n.prototxt", "n.caffemodel"


def created(model: tuple[str, str], *arguments: Any, **named: Any) -> dict[str, Any]:
    amct.create_quant_config("tmp/config.json", *model, *arguments, **named)
    document: dict[str, Any] = json.loads(Path("tmp/config.json").read_text())
    return document


def test_the_signature_is_amcts() -> None:
    assert str(inspect.signature(amct.create_quant_config).replace(return_annotation="")) == (
        "(config_file: 'str', model_file: 'str', weights_file: 'str', "
        "skip_layers: 'Optional[Sequence[str]]' = None, batch_num: 'int' = 1, "
        "activation_offset: 'bool' = True, config_defination: 'Optional[str]' = None) -> ''"
    )


def test_every_layer_that_can_be_quantized_is_listed(model: tuple[str, str]) -> None:
    """Deconvolutions with groups and layers of TEST alone are, unlike in training."""
    document = created(model)
    assert list(document)[6:] == QUANTIZABLE
    assert all(document[name]["quant_enable"] for name in QUANTIZABLE)
    by_channels = {
        name: document[name].get("weight_quant_params", {}).get("channel_wise")
        for name in QUANTIZABLE
    }
    assert by_channels == {
        "conv": True,
        "up": False,
        "pool": None,
        "test_only": True,
        "fc": False,
    }


def test_the_positions_of_the_arguments_are_amcts(model: tuple[str, str]) -> None:
    document = created(model, ["conv", "pool"], 2, False)
    assert (document["batch_num"], document["activation_offset"]) == (2, False)
    assert [n for n in QUANTIZABLE if not document[n]["quant_enable"]] == ["conv", "pool"]


def test_the_simplified_config_counts_alone(
    model: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """As AMCT's sample calls it: with ``skip_layers`` and ``batch_num`` all the same."""
    Path("quant.cfg").write_text('batch_num : 5 skip_layers : "fc"')
    with caplog.at_level(logging.INFO):
        document = created(model, ["conv"], 2, config_defination="quant.cfg")
    assert document["batch_num"] == 5
    assert [n for n in QUANTIZABLE if not document[n]["quant_enable"]] == ["fc"]
    assert "'quant.cfg' counts, not skip_layers" in caplog.text


def test_what_is_written_is_announced(
    model: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        created(model)
    assert "Generate config file:tmp/config.json success!" in caplog.text
    assert "layer 'transposed' is not quantized: transpose is true" in caplog.text
    with caplog.at_level(logging.WARNING):
        created(model)
    assert "'tmp/config.json' existed and has been overwritten" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "field", "expected"),
    [
        ({"skip_layers": "conv"}, "skip_layers", "list of str"),
        ({"skip_layers": [1]}, "skip_layers", "list of str"),
        ({"batch_num": "2"}, "batch_num", "int"),
        ({"batch_num": True}, "batch_num", "int"),
        ({"activation_offset": 1}, "activation_offset", "bool"),
    ],
)
def test_an_argument_of_the_wrong_type_is_a_type_error_as_in_amct(
    model: tuple[str, str], arguments: dict[str, Any], field: str, expected: str
) -> None:
    with pytest.raises(TypeError) as caught:
        created(model, **arguments)
    assert isinstance(caught.value, ConfigError)
    assert f"Func create_quant_config argument {field} must be {expected}" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_num": 0}, "The batch_num must be greater than zero."),
        ({"skip_layers": ["relu"]}, "Layer relu does not support quantization."),
        ({"skip_layers": ["cov"]}, "Layer cov does not exist in the graph. Did you mean 'conv'?"),
        ({"skip_layers": QUANTIZABLE}, "Except skip_layers, no layer needs to quantize."),
        ({"config_defination": ""}, "expected a path"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(
    model: tuple[str, str], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        created(model, **arguments)
    assert message in str(caught.value)
    assert not os.path.exists("tmp")


def test_nuq_is_refused_by_name_and_reason(model: tuple[str, str]) -> None:
    Path("quant.cfg").write_text(
        'batch_num : 2 nuq_config { mapping_file : "om.json" nuq_quantize : { num_steps : 32 } }'
    )
    with pytest.raises(ConfigError, match="non-uniform quantization is not offered") as caught:
        created(model, config_defination="quant.cfg")
    assert (caught.value.file, caught.value.field) == ("quant.cfg", "nuq_config")
    assert "Remove nuq_config" in caught.value.remedy


def test_a_network_without_candidates_is_refused(model: tuple[str, str]) -> None:
    Path("n.prototxt").write_text(
        'input: "data" input_shape { dim: 1 dim: 64 } '
        'layer { name: "transposed" type: "InnerProduct" bottom: "data" top: "transposed" '
        "inner_product_param { num_output: 4 transpose: true bias_term: false } }"
    )
    with pytest.raises(ModelError, match="no layer of this network can be quantized"):
        created(model)


def test_training_still_asks_for_one_group_and_both_phases(model: tuple[str, str]) -> None:
    amct.create_quant_retrain_config("qat.json", *model)
    assert list(json.loads(Path("qat.json").read_text()))[2:] == ["conv", "pool", "fc"]
