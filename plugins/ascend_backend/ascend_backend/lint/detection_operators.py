"""What ATC's detection outputs take: bottoms, tops, and the fields of their parameters.

Sources:

* hicann/ge docs/zh/user_guides/atc_tools/custom_network_modify_caffe (``*_prototxt_modify``):
  bottoms, tops, and the defaults that are documented;
* hicann/ge graph_metadef/proto/caffe/caffe.proto: fields, types, and what is ``required``;
* canndev ops/built-in/framework/caffe_plugin: which fields are read;
* canndev ops/built-in/op_proto/inc/nn_detect_ops.h: inputs, outputs, and the defaults that count;
* canndev ops/built-in/tbe/impl (``ssd_detection_output.py``, ``yolo_v2_cls_prob.py``,
  ``yolo_v3_cls_prob_v2.py``): which values are accepted;
* CANN's operator list, operatorlist_00163 (SSD) and operatorlist_00172 (YOLO v2).
"""

from __future__ import annotations

from typing import Callable, Dict, Optional, Tuple, Union

import attrs

Number = Union[bool, int, float]


@attrs.frozen
class Limit:
    """Which values the operator accepts.

    Attributes:
        words: what is accepted, to follow "expected".
        accepts: tells it of one value.
    """

    words: str
    accepts: Callable[[Number], bool]


@attrs.frozen
class DetectionField:
    """One field of a detection output's parameters.

    Attributes:
        kind: ``int32``, ``float`` or ``bool``.
        limit: what the operator accepts; None: nothing is known.
        documented: what its documentation allows, where that is less.
        required: whether it must be there.
        defaults: what ATC takes where it is left out, and the other value that its documentation or
            its ``caffe.proto`` tells; None: all agree.
        repeated: whether it is a list.
    """

    kind: str
    limit: Optional[Limit] = None
    documented: Optional[Limit] = None
    required: bool = False
    defaults: Optional[Tuple[str, str]] = None
    repeated: bool = False


@attrs.frozen
class DetectionOperator:
    """A detection output.

    Attributes:
        parameters: the message that ATC reads.
        fields: of that message, by name.
        accepts_bottoms: tells whether a number of bottoms is right.
        bottoms, tops: what they are, in words.
        boxes: of each cell, where the parameters do not say it; 0: it has none.
    """

    parameters: str
    fields: Dict[str, DetectionField]
    accepts_bottoms: Callable[[int], bool]
    bottoms: str
    tops: str
    boxes: int = 0


TOPS = 2
"""Every detection output has two."""


def _between(lowest: int, highest: int) -> Limit:
    return Limit(f"{lowest} to {highest}", lambda value: lowest <= value <= highest)


def _just(expected: Number, words: str) -> Limit:
    return Limit(words, lambda value: value == expected)


def _field(kind: str, limit: Optional[Limit] = None) -> DetectionField:
    return DetectionField(kind, limit)


def _required(kind: str, limit: Optional[Limit] = None) -> DetectionField:
    return DetectionField(kind, limit, required=True)


def _disputed(kind: str, taken: str, told: str, limit: Optional[Limit] = None) -> DetectionField:
    return DetectionField(kind, limit, defaults=(taken, told))


_BIASES = DetectionField("float", repeated=True)
_PROBABILITY = _between(0, 1)
_MOST_BOXES = 1024

_SSD = {
    "num_classes": _required("int32", _between(1, 1024)),
    "share_location": _field("bool", _just(True, "true")),
    "background_label_id": _field("int32", Limit("-1 or more", lambda value: value >= -1)),
    "iou_threshold": _disputed(
        "float", "0.3", "0.45", Limit("more than 0 and at most 1", lambda value: 0 < value <= 1)
    ),
    "top_k": DetectionField(
        "int32", _between(1, 6000), documented=_between(1, _MOST_BOXES), defaults=("200", "400")
    ),
    "eta": _field("float", _just(1, "1")),
    "variance_encoded_in_target": _field("bool"),
    "code_type": _disputed("int32", "1 (CORNER)", "2 (CENTER_SIZE)", _between(1, 3)),
    "keep_top_k": _disputed(
        "int32",
        "-1 (all, up to 1024)",
        "200",
        Limit("1 to 1024, or -1", lambda value: value == -1 or 1 <= value <= _MOST_BOXES),
    ),
    "confidence_threshold": _disputed("float", "0", "0.01", _PROBABILITY),
}

_FASTER_RCNN = {
    "num_classes": _required("int32"),
    "score_threshold": _required("float"),
    "iou_threshold": _required("float"),
    "batch_rois": _field("int32"),
}

_YOLO = {
    "boxes": _field("int32"),
    "coords": _field("int32", _just(4, "4")),
    "relative": _field("bool"),
    "obj_threshold": _field("float"),
    "score_threshold": _field("float"),
    "iou_threshold": _field("float"),
    "pre_nms_topn": _field("int32", _between(1, _MOST_BOXES)),
    "post_nms_topn": _disputed("int32", "512", "1024", _between(1, _MOST_BOXES)),
    "biases": _BIASES,
    "resize_origin_img_to_net": _field("bool"),
}

DETECTION_OPERATORS: Dict[str, DetectionOperator] = {
    "SSDDetectionOutput": DetectionOperator(
        "ssddetectionoutput_param",
        _SSD,
        lambda bottoms: bottoms == 3,
        "3: locations, confidences and prior boxes",
        "the number of boxes and the boxes",
    ),
    "FSRDetectionOutput": DetectionOperator(
        "fsrdetectionoutput_param",
        _FASTER_RCNN,
        lambda bottoms: bottoms in (4, 5),
        "4 or 5: regions, box deltas, scores, image information and the number of regions",
        "the number of boxes and the boxes",
    ),
    "YoloV2DetectionOutput": DetectionOperator(
        "yolov2_detection_output_param",
        {**_YOLO, "classes": _disputed("int32", "20", "80", _between(1, 1024))},
        lambda bottoms: bottoms == 4,
        "4: coordinates, objectness and classes of the Yolo layer, and image information",
        "the boxes and their number",
        boxes=5,
    ),
    "YoloV3DetectionOutput": DetectionOperator(
        "yolov3_detection_output_param",
        {
            **_YOLO,
            "classes": _field("int32"),
            **{f"biases_{scale}": _BIASES for scale in ("low", "mid", "high")},
        },
        lambda bottoms: bottoms >= 4 and bottoms % 3 == 1,
        "10: three coordinates, three objectness and three classes of the Yolo layers, and image "
        "information (7 with two Yolo layers)",
        "the boxes and their number",
        boxes=3,
    ),
}
"""By layer type."""
