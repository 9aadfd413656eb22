"""SSD's DetectionOutput becomes ATC's SSDDetectionOutput, rule by rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt.document import Layer
from amct_core import workflow
from amct_core.errors import AmctError, FileFormatError, ModelError
from amct_core.files import FileSet
from ascend_backend.detection_output import ssd_detection_outputs
from ascend_backend.lint import lint
from ascend_backend.reader import read_deploy_model
from ascend_backend.writer import write_deploy_model
from plugins.ascend_backend.tests.text_reader import read_prototxt
from tests.conformance.runner import pretend_training
from tests.conformance.weights import write_random_weights

SSD300 = """
  num_classes: 21 share_location: true background_label_id: 0
  nms_param { nms_threshold: 0.45 top_k: 400 }
  save_output_param { output_directory: "out" label_map_file: "labels" resize_param { height: 3 } }
  code_type: CENTER_SIZE keep_top_k: 200 confidence_threshold: 0.01
  visualize: false visualize_threshold: 0.6 save_file: "video" """
"""What the deploy prototxt of SSD300 on VOC says, and all that has no effect on the boxes."""

LEAST = "num_classes: 2 nms_param { top_k: 100 }"
"""What nothing stands in for: Caffe and ATC both need the one, ATC the other."""


def detection(parameters: str, bottoms: int = 3, more: str = "") -> str:
    names = " ".join(f'bottom: "b{index}"' for index in range(bottoms))
    return (
        f'layer {{ name: "detection_out" type: "DetectionOutput" {names} top: "detection_out" '
        f"{more} detection_output_param {{ {parameters} }} }}"
    )


def convert(text: str) -> List[Layer]:
    return ssd_detection_outputs(documents.from_text(text).layers, "net.prototxt")


def fields(layer: Layer) -> dict[str, str]:
    return {e.name: e.value.text for e in layer.parameters("ssddetectionoutput_param")}


def test_the_layer_is_the_one_of_the_documentation() -> None:
    (layer,) = convert(detection(SSD300))
    assert documents.NetDocument.create("n", [layer]).format() == (
        'name: "n"\n'
        "layer {\n"
        '  name: "detection_out"\n'
        '  type: "SSDDetectionOutput"\n'
        '  bottom: "b0"\n'
        '  bottom: "b1"\n'
        '  bottom: "b2"\n'
        '  top: "detection_out_boxnum"\n'
        '  top: "detection_out"\n'
        "  ssddetectionoutput_param {\n"
        "    num_classes: 21\n"
        "    share_location: true\n"
        "    background_label_id: 0\n"
        "    iou_threshold: 0.45\n"
        "    top_k: 400\n"
        "    eta: 1\n"
        "    variance_encoded_in_target: false\n"
        "    code_type: 2\n"
        "    keep_top_k: 200\n"
        "    confidence_threshold: 0.01\n"
        "  }\n"
        "}\n"
    )


def test_what_is_left_out_gets_the_defaults_of_caffe_not_those_of_atc() -> None:
    (layer,) = convert(detection(LEAST))
    assert fields(layer) == {
        "num_classes": "2",
        "share_location": "true",
        "background_label_id": "0",
        "iou_threshold": "0.3",
        "top_k": "100",
        "eta": "1",
        "variance_encoded_in_target": "false",
        "code_type": "1",
        "keep_top_k": "-1",
        "confidence_threshold": "0",
    }


@pytest.mark.parametrize(
    ("said", "field", "expected"),
    [
        ("share_location: false", "share_location", "false"),
        ("background_label_id: -1", "background_label_id", "-1"),
        ("variance_encoded_in_target: true", "variance_encoded_in_target", "true"),
        ("keep_top_k: 750", "keep_top_k", "750"),
        ("confidence_threshold: 0.25", "confidence_threshold", "0.25"),
        ("code_type: CORNER", "code_type", "1"),
        ("code_type: CENTER_SIZE", "code_type", "2"),
        ("code_type: CORNER_SIZE", "code_type", "3"),
        ("code_type: 2", "code_type", "2"),
    ],
)
def test_each_field_arrives(said: str, field: str, expected: str) -> None:
    (layer,) = convert(detection(f"{LEAST} {said}"))
    assert fields(layer)[field] == expected


def test_the_fields_of_the_suppression_stand_beside_the_others() -> None:
    nms = "nms_param { nms_threshold: 0.6 top_k: 5000 eta: 0.9 }"
    (layer,) = convert(detection(f"num_classes: 2 {nms}"))
    found = fields(layer)
    assert (found["iou_threshold"], found["top_k"], found["eta"]) == ("0.6", "5000", "0.9")
    assert "nms_param" not in found


def test_the_images_that_are_drawn_on_are_no_longer_read() -> None:
    drawing = f"{LEAST} visualize: true"
    (layer,) = convert(detection(drawing, 4, "transform_param { mean_value: 104 }"))
    assert layer.bottoms == ["b0", "b1", "b2"]
    assert not layer.message.has("transform_param")


def test_a_name_that_is_taken_gets_an_underscore() -> None:
    taken = 'layer { name: "x" type: "ReLU" bottom: "b0" top: "detection_out_boxnum" }'
    assert convert(taken + detection(LEAST))[1].tops[0] == "detection_out_boxnum_"


def test_other_layers_and_the_given_ones_stay_as_they_are() -> None:
    text = 'layer { name: "x" type: "SSDDetectionOutput" bottom: "b" top: "n" top: "y" }'
    layers = documents.from_text(text + detection(SSD300)).layers
    before = documents.NetDocument.create("n", layers).format()
    assert ssd_detection_outputs(layers)[0].message == layers[0].message
    assert documents.NetDocument.create("n", layers).format() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (detection("nms_param { top_k: 100 }"), r"\.num_classes': it is missing"),
        (detection("num_classes: 2"), r"nms_param\.top_k': it is missing.*such as 400"),
        (detection("num_classes: 2 nms_param { }"), r"nms_param\.top_k': it is missing"),
        (detection("num_classes: 2 nms_param { top_k: -1 }"), r"top_k': it is -1"),
        (detection(f"{LEAST} code_type: TF_CENTER"), r"it is TF_CENTER.*CENTER_SIZE \(2\)"),
        (detection(f"{LEAST} objectness_score: 0.01"), r"\.objectness_score'.*by hand"),
        (detection(f"{LEAST} nms_threshold: 0.7"), r"\.nms_threshold'.*FSRDetectionOutput"),
        (detection("num_classes: 2 nms_param { top_k: 9 soft: 1 }"), r"nms_param\.soft'"),
        (detection(LEAST, bottoms=2), r"field 'bottom': it has 2; expected 3"),
        (detection(LEAST, bottoms=4), r"field 'bottom': it has 4; expected 3"),
        (detection(f"{LEAST} visualize: true", bottoms=5), r"field 'bottom': it has 5"),
        (detection(LEAST, more='top: "second"'), r"field 'top': it has 2; expected one"),
    ],
)
def test_what_cannot_be_expressed_is_an_error_that_tells_what_to_do(
    text: str, message: str
) -> None:
    with pytest.raises(ModelError, match=rf"net\.prototxt, layer 'detection_out'.*{message}"):
        convert(text)


def test_a_value_of_another_kind_is_an_error() -> None:
    with pytest.raises(FileFormatError, match=r"keep_top_k.*found many; expected an integer"):
        convert(detection(f"{LEAST} keep_top_k: many"))


def test_a_reader_of_the_boxes_is_an_error_that_names_it() -> None:
    reader = 'layer { name: "eval" type: "Evaluate" bottom: "detection_out" top: "e" }'
    with pytest.raises(ModelError, match=r"'eval' \(Evaluate\).*outside of the model"):
        convert(detection(LEAST) + reader)


NETWORK = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 20 dim: 8 dim: 8 } } }
layer { name: "loc" type: "Convolution" bottom: "data" top: "loc"
  convolution_param { num_output: 8 kernel_size: 1 } }
layer { name: "mbox_loc" type: "Flatten" bottom: "loc" top: "mbox_loc" }
layer { name: "conf" type: "Convolution" bottom: "data" top: "conf"
  convolution_param { num_output: 42 kernel_size: 1 } }
layer { name: "reshape" type: "Reshape" bottom: "conf" top: "reshape"
  reshape_param { shape { dim: 0 dim: -1 dim: 21 } } }
layer { name: "softmax" type: "Softmax" bottom: "reshape" top: "softmax"
  softmax_param { axis: 2 } }
layer { name: "mbox_conf" type: "Flatten" bottom: "softmax" top: "mbox_conf" }
layer { name: "prior" type: "PriorBox" bottom: "loc" bottom: "data" top: "prior"
  prior_box_param { min_size: 2 max_size: 4 variance: 0.1 } }
layer { name: "detection_out" type: "DetectionOutput" bottom: "mbox_loc" bottom: "mbox_conf"
  bottom: "prior" top: "detection_out" include { phase: TEST }
  detection_output_param { %s } }
"""


def save(folder: Path, backend: str, parameters: str = SSD300) -> str:
    """Take an SSD through the workflow without Caffe; return the prefix of what was saved."""
    model, weights, config = (str(folder / n) for n in ("n.prototxt", "n.caffemodel", "c.json"))
    Path(model).write_text(NETWORK % parameters)
    write_random_weights(model, Path(weights))
    workflow.create_config(model, weights, config)
    modified = [str(folder / f"modified.{end}") for end in ("prototxt", "caffemodel")]
    record = str(folder / "record.txt")
    workflow.insert(model, weights, config, *modified, record)
    pretend_training(folder)
    snapshot, prefix = str(folder / "snapshot.caffemodel"), str(folder / "saved")
    workflow.save(modified[0], snapshot, prefix, "Both", record, config, backend)
    return prefix


def saved_layer(prefix: str) -> Any:
    return read_prototxt(f"{prefix}_deploy_model.prototxt")[-1]


def test_atcs_parser_reads_what_the_network_says(tmp_path: Path) -> None:
    layer = saved_layer(save(tmp_path, "ascend"))
    assert (layer.name, layer.type) == ("detection_out", "SSDDetectionOutput")
    assert list(layer.bottom) == ["mbox_loc", "mbox_conf", "prior"]
    assert list(layer.top) == ["detection_out_boxnum", "detection_out"]
    found = layer.ssddetectionoutput_param
    integers = (found.num_classes, found.background_label_id, found.top_k, found.keep_top_k)
    assert (*integers, found.code_type) == (21, 0, 400, 200, 2)
    assert (found.share_location, found.variance_encoded_in_target) == (True, False)
    floats = [found.iou_threshold, found.confidence_threshold, found.eta]
    np.testing.assert_array_equal(np.float32(floats), np.float32([0.45, 0.01, 1]))
    assert len(found.ListFields()) == 10, "every field is said"


def test_the_saved_model_breaks_no_rule(tmp_path: Path) -> None:
    prefix = save(tmp_path, "ascend")
    assert lint(f"{prefix}_deploy_model.prototxt", f"{prefix}_deploy_weights.caffemodel") == ()


def test_the_fake_quant_model_keeps_the_layer_that_caffe_runs(tmp_path: Path) -> None:
    prefix = save(tmp_path, "ascend")
    layer = documents.read(f"{prefix}_fake_quant_model.prototxt").layers[-1]
    assert (layer.type, layer.tops) == ("DetectionOutput", ["detection_out"])
    assert layer.parameters("detection_output_param").enum("code_type") == "CENTER_SIZE"


def test_with_training_layers_the_layer_stays_for_the_user_to_rewrite(tmp_path: Path) -> None:
    prefix = save(tmp_path, "ascend_with_training_layers", "num_classes: 21")
    assert saved_layer(prefix).type == "DetectionOutput"


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(AmctError, match=r"nms_param\.top_k"):
        save(tmp_path, "ascend", "num_classes: 21")
    assert not list(tmp_path.glob("saved*"))


def test_the_model_that_is_read_back_is_written_as_it_was(tmp_path: Path) -> None:
    prefix = save(tmp_path, "ascend")
    model = read_deploy_model(prefix)
    with FileSet() as files:
        write_deploy_model(model, str(tmp_path / "again"), files)
    for file in ("deploy_model.prototxt", "deploy_weights.caffemodel"):
        written, again = (tmp_path / f"{name}_{file}" for name in ("saved", "again"))
        assert written.read_bytes() == again.read_bytes(), file
    names, names_again = (
        json.loads((tmp_path / f"{name}_quant.json").read_text()) for name in ("saved", "again")
    )
    for other_files in ("fake_quant", "made_from", "float"):
        del names["digests"][other_files]
    assert names == names_again
