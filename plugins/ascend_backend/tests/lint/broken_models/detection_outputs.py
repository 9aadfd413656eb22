"""Detection outputs with wrong inputs or fields."""

from __future__ import annotations

from plugins.ascend_backend.tests.lint.broken_models.whole_model import Model, breaks

SSD = """
  num_classes: 21 share_location: true background_label_id: 0 iou_threshold: 0.45 top_k: 400
  eta: 1.0 variance_encoded_in_target: false code_type: 2 keep_top_k: 200
  confidence_threshold: 0.01 """


YOLO_V2 = """
  boxes: 2 classes: 20 coords: 4 relative: true obj_threshold: 0.5 score_threshold: 0.5
  iou_threshold: 0.45 pre_nms_topn: 512 post_nms_topn: 1024
  biases: 0.5 biases: 0.7 biases: 1.9 biases: 2.1 """


YOLO_V3 = """
  boxes: 1 classes: 80 obj_threshold: 0.5 score_threshold: 0.5 iou_threshold: 0.45
  pre_nms_topn: 512 post_nms_topn: 1024
  biases_high: 10 biases_high: 13 biases_mid: 30 biases_mid: 61 biases_low: 116 biases_low: 90 """


FASTER_RCNN = "num_classes: 3 score_threshold: 0.0 iou_threshold: 0.7 batch_rois: 1"


DETECTIONS = {
    "SSDDetectionOutput": ("ssddetectionoutput_param", SSD, 3),
    "YoloV2DetectionOutput": ("yolov2_detection_output_param", YOLO_V2, 4),
    "YoloV3DetectionOutput": ("yolov3_detection_output_param", YOLO_V3, 10),
    "FSRDetectionOutput": ("fsrdetectionoutput_param", FASTER_RCNN, 5),
}
"""By type: the message of the parameters, whole parameters, and the number of bottoms."""


def detection(m: Model, kind: str, *changes: tuple[str, str], bottoms: int = 0) -> None:
    """Append a detection output that breaks no rule, apart from ``changes`` of its text."""
    message, fields, count = DETECTIONS[kind]
    blobs = 'bottom: "prob" ' * (bottoms or count)
    text = f'name: "boxes" type: "{kind}" {blobs} top: "a" top: "b" {message} {{ {fields} }}'
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    m.add(text)


@breaks("A100", "boxes")
def detection_output_of_one_top(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ('top: "b"', ""))


@breaks("A100", "boxes")
def yolo_output_of_three_tops(m: Model) -> None:
    detection(m, "YoloV3DetectionOutput", ('top: "b"', 'top: "b" top: "c"'))


@breaks("A101", "boxes")
def detection_output_of_four_bottoms(m: Model) -> None:
    detection(m, "SSDDetectionOutput", bottoms=4)


@breaks("A101", "boxes")
def yolo_v2_without_image_information(m: Model) -> None:
    detection(m, "YoloV2DetectionOutput", bottoms=3)


@breaks("A101", "boxes")
def yolo_v3_without_image_information(m: Model) -> None:
    detection(m, "YoloV3DetectionOutput", bottoms=9)


@breaks("A101", "boxes")
def regions_without_scores(m: Model) -> None:
    detection(m, "FSRDetectionOutput", bottoms=2)


@breaks("A102", "boxes")
def parameters_of_the_type_before(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("ssddetectionoutput_param", "detection_output_param"))


@breaks("A102", "boxes")
def no_parameters(m: Model) -> None:
    message, fields, _ = DETECTIONS["YoloV2DetectionOutput"]
    detection(m, "YoloV2DetectionOutput", (f"{message} {{ {fields} }}", ""))


@breaks("A103", "boxes")
def no_number_of_classes(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("num_classes: 21", ""))


@breaks("A103", "boxes")
def no_score_threshold(m: Model) -> None:
    detection(m, "FSRDetectionOutput", ("score_threshold: 0.0", ""))


@breaks("A103", "boxes")
def no_biases(m: Model) -> None:
    detection(m, "YoloV2DetectionOutput", ("biases: 0.5 biases: 0.7 biases: 1.9 biases: 2.1", ""))


@breaks("A104", "boxes")
def code_type_by_name(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("code_type: 2", "code_type: CENTER_SIZE"))


@breaks("A104", "boxes")
def boxes_in_fractions(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("keep_top_k: 200", "keep_top_k: 200.5"))


@breaks("A105", "boxes")
def nested_parameters(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("eta: 1.0", "eta: 1.0 nms_param { top_k: 400 }"))


@breaks("A105", "boxes")
def field_of_another_operator(m: Model) -> None:
    detection(m, "YoloV3DetectionOutput", ("boxes: 1", "boxes: 1 keep_top_k: 200"))


@breaks("A106", "boxes")
def locations_for_each_class(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("share_location: true", "share_location: false"))


@breaks("A106", "boxes")
def adaptive_suppression(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("eta: 1.0", "eta: 0.5"))


@breaks("A106", "boxes")
def threshold_of_0(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("iou_threshold: 0.45", "iou_threshold: 0"))


@breaks("A106", "boxes")
def keep_no_box(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("keep_top_k: 200", "keep_top_k: 0"))


@breaks("A106", "boxes")
def all_boxes_into_the_suppression(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("top_k: 400", "top_k: -1"))


@breaks("A106", "boxes")
def background_that_is_no_class(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("background_label_id: 0", "background_label_id: 21"))


@breaks("A106", "boxes")
def five_coordinates(m: Model) -> None:
    detection(m, "YoloV2DetectionOutput", ("coords: 4", "coords: 5"))


@breaks("A106", "boxes")
def too_many_boxes_behind_the_suppression(m: Model) -> None:
    detection(m, "YoloV3DetectionOutput", ("post_nms_topn: 1024", "post_nms_topn: 1025"))


@breaks("A107", "boxes")
def code_type_left_out(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("code_type: 2", ""))


@breaks("A107", "boxes")
def number_of_classes_of_yolo_left_out(m: Model) -> None:
    detection(m, "YoloV2DetectionOutput", ("classes: 20", ""))


@breaks("A108", "boxes")
def more_boxes_than_documented(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("top_k: 400", "top_k: 5000"))


@breaks("A109", "boxes")
def biases_for_one_box_of_two(m: Model) -> None:
    detection(m, "YoloV2DetectionOutput", ("biases: 1.9 biases: 2.1", ""))


@breaks("A109", "boxes")
def biases_for_two_yolo_layers_of_three(m: Model) -> None:
    detection(m, "YoloV3DetectionOutput", ("biases_low: 116 biases_low: 90", ""))
