"""Old prototxts become what Caffe makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.v1 import v1_layer_type
from amct_core.errors import FileFormatError

OLD = """
name: "old"
input: "data"
input_dim: 2 input_dim: 3 input_dim: 8 input_dim: 9
layers {
  name: "conv" type: CONVOLUTION bottom: "data" top: "conv"
  param: "w" param: "b" blobs_lr: 1 blobs_lr: 2 weight_decay: 0.5 blob_share_mode: PERMISSIVE
  convolution_param { num_output: 4 kernel_size: 3 }
  vendor_param { a: 1 }
  include { phase: TEST }
}
layers { name: "loss" type: 21 bottom: "conv" top: "loss" loss_weight: 2 }
"""

NEW = """\
name: "old"
layer {
  name: "input"
  type: "Input"
  top: "data"
  input_param {
    shape {
      dim: 2
      dim: 3
      dim: 8
      dim: 9
    }
  }
}
layer {
  name: "conv"
  type: "Convolution"
  bottom: "data"
  top: "conv"
  convolution_param {
    num_output: 4
    kernel_size: 3
  }
  vendor_param {
    a: 1
  }
  include {
    phase: TEST
  }
  param {
    name: "w"
    lr_mult: 1
    decay_mult: 0.5
    share_mode: PERMISSIVE
  }
  param {
    name: "b"
    lr_mult: 2
  }
}
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "conv"
  top: "loss"
  loss_weight: 2
}
"""


def test_v1_layers_become_present_ones_and_keep_everything_else() -> None:
    assert documents.from_text(OLD).format() == NEW


def test_a_present_file_is_not_touched() -> None:
    assert documents.from_text(NEW).format() == NEW


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("CONVOLUTION", "Convolution"),
        ("INNER_PRODUCT", "InnerProduct"),
        ("RELU", "ReLU"),
        ("LRN", "LRN"),
        ("TANH", "TanH"),
        ("BNLL", "BNLL"),
        ("HDF5_DATA", "HDF5Data"),
        ("SOFTMAX_LOSS", "SoftmaxWithLoss"),
        ("SIGMOID_CROSS_ENTROPY_LOSS", "SigmoidCrossEntropyLoss"),
        ("IM2COL", "Im2col"),
        ("NONE", ""),
        ("17", "Pooling"),
        ("VENDOR", None),
        ("1000", None),
    ],
)
def test_v1_types_have_their_present_names(old: str, new: Any) -> None:
    assert v1_layer_type(old) == new


@pytest.mark.caffe
@pytest.mark.needs("image_data", "hdf5_data")
def test_every_v1_type_becomes_one_that_caffe_has(caffe: Any, caffe_pb2: Any) -> None:
    known = set(caffe.layer_type_list())
    types = caffe_pb2.V1LayerParameter.LayerType.keys()
    assert {v1_layer_type(name) for name in types} - known == {""}


def test_transformation_moves_out_of_the_data_parameters() -> None:
    text = """
    layers { name: "d" type: DATA top: "d"
      data_param { source: "s" scale: 0.5 mirror: true crop_size: 4 mean_file: "m" batch_size: 2 }
      transform_param { scale: 9 } }
    """
    layer = documents.from_text(text).layers[0]
    assert [entry.name for entry in layer.parameters("data_param")] == ["source", "batch_size"]
    transform = layer.parameters("transform_param")
    assert transform.number("scale") == 0.5
    assert transform.string("mean_file") == "m"
    assert transform.integer("crop_size") == 4
    assert transform.boolean("mirror") is True


def test_input_shapes_make_one_input_layer_for_all_inputs() -> None:
    text = """
    layer { name: "a" type: "Silence" bottom: "x" bottom: "y" }
    input: "x" input_shape { dim: 1 dim: 2 }
    input: "y" input_shape { dim: 3 }
    """
    first, second = documents.from_text(text).layers
    assert (first.name, first.type, first.tops) == ("input", "Input", ["x", "y"])
    shapes = [s.integers("dim") for s in first.parameters("input_param").messages("shape")]
    assert shapes == [[1, 2], [3]]
    assert second.name == "a"


def test_inputs_without_shapes_go_as_in_legacy_weights_files() -> None:
    document = documents.from_text('input: "x" layer { name: "a" type: "T" bottom: "x" }')
    assert [layer.name for layer in document.layers] == ["a"]
    assert "input" not in document.format()


@pytest.mark.parametrize(
    "inputs",
    [
        'input: "x" input: "y" input_dim: [1, 2, 3, 4]',
        'input: "x" input_dim: [1, 2, 3]',
        'input: "x" input: "y" input_shape { dim: 1 }',
    ],
)
def test_inputs_with_too_few_shapes_are_refused(inputs: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        documents.from_text(inputs + ' layer { name: "a" type: "T" }', "net.prototxt")
    assert caught.value.file == "net.prototxt"
    assert caught.value.field in ("input_dim", "input_shape")


def test_the_three_params_of_old_batch_norms_get_multipliers_of_zero() -> None:
    text = """
    layer { name: "three" type: "BatchNorm" param { lr_mult: 1 name: "m" } param { } param { } }
    layer { name: "one" type: "BatchNorm" param { lr_mult: 1 } }
    layer { name: "scale" type: "Scale" param { } param { } param { } }
    """
    three, one, scale = documents.from_text(text).layers
    assert [(s.lr_mult, s.decay_mult) for s in three.param_specs] == [(0.0, 0.0)] * 3
    assert three.param_specs[0].name == "m"
    assert one.param_specs[0].lr_mult == 1
    assert [s.lr_mult for s in scale.param_specs] == [None] * 3


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('layers { layer { name: "conv" type: "conv" } }', "V0"),
        ('layers { name: "a" type: RELU } layer { name: "b" type: "ReLU" }', "both"),
        ('layers { name: "a" type: VENDOR }', "VENDOR"),
        ('layers { name: "a" }', "type"),
    ],
)
def test_what_caffe_cannot_upgrade_is_refused(text: str, found: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        documents.from_text(text, "net.prototxt")
    assert caught.value.file == "net.prototxt"
    assert found in str(caught.value)


def description(net: Any) -> Dict[str, Any]:
    """Return what Caffe made of a file."""
    return {
        "layers": list(net._layer_names),
        "types": [layer.type for layer in net.layers],
        "blobs": {name: tuple(blob.shape) for name, blob in net.blobs.items()},
        "params": {name: [tuple(b.shape) for b in blobs] for name, blobs in net.params.items()},
        "bottoms": {name: list(net.bottom_names[name]) for name in net._layer_names},
        "tops": {name: list(net.top_names[name]) for name in net._layer_names},
    }


@pytest.mark.caffe
@pytest.mark.parametrize(
    "name",
    [
        "lenet/lenet.prototxt",
        "open_nsfw/deploy.prototxt",
        "squeezenet/SqueezeNet_deploy.prototxt",
        "resnet20_cifar/resnet20.prototxt",
        "prototxt_only/mobilenet_v1_deploy.prototxt",
        "prototxt_only/ResNet-50-deploy.prototxt",
    ],
)
def test_caffe_makes_the_same_net_of_the_upgraded_file(
    caffe: Any, models: Path, tmp_path: Path, name: str
) -> None:
    upgraded = tmp_path / "upgraded.prototxt"
    document = documents.read(str(models / name))
    upgraded.write_text(document.format())
    ours = caffe.Net(str(upgraded), caffe.TEST)
    theirs = caffe.Net(str(models / name), caffe.TEST)
    assert description(ours) == description(theirs)
    # Caffe inserts Split layers of its own.
    own_layers = [
        n for n, kind in zip(theirs._layer_names, description(theirs)["types"]) if kind != "Split"
    ]
    assert [layer.name for layer in document.layers_in("TEST")] == own_layers


@pytest.mark.caffe
def test_caffe_makes_the_same_net_of_an_old_file_with_shared_parameters(
    caffe: Any, tmp_path: Path
) -> None:
    old = tmp_path / "old.prototxt"
    old.write_text(OLD.replace("vendor_param { a: 1 }", "").replace("type: 21", "type: SOFTMAX"))
    new = tmp_path / "new.prototxt"
    new.write_text(documents.read(str(old)).format())
    assert description(caffe.Net(str(old), caffe.TEST)) == description(
        caffe.Net(str(new), caffe.TEST)
    )
