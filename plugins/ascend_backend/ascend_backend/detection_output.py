"""Turns SSD's ``DetectionOutput`` into the ``SSDDetectionOutput`` that ATC takes.

A new type is not enough: the two layers have other parameters and other tops.

1. Bottoms 0 to 2 (locations, confidences, prior boxes) stay in order; they are ``bbox_delta``,
   ``score`` and ``anchors``.  A fourth bottom goes if it is there for ``visualize``.
2. There are two tops.  The first is the number of boxes, a new blob ``<top>_boxnum``; the second
   is the boxes, which keep the name that the one top had.
3. The fields of ``detection_output_param`` and its ``nms_param`` stand side by side in
   ``ssddetectionoutput_param``: ``nms_threshold`` is called ``iou_threshold`` there, the others
   keep their names.  ``code_type`` is a number: CORNER 1, CENTER_SIZE 2, CORNER_SIZE 3.
4. Every field is written, also those that Caffe's defaults give.  The defaults differ:
   ``code_type`` is 1 in ATC's operator and 2 in its documentation, for example.
5. ``save_output_param``, ``visualize``, ``visualize_threshold``, ``save_file`` and the layer's
   ``transform_param`` go.  They write files and draw pictures; the top does not depend on them.
6. A ``confidence_threshold`` that is not said is 0, the least that ATC takes.  Caffe's own is below
   every number; scores are probabilities, so the two differ only for boxes of score 0.
7. An error: no ``num_classes``; no ``nms_param.top_k``, or one below 0, with which Caffe takes all
   boxes and ATC cannot; a field that SSD's layer does not have, which marks the layer of another
   network (Faster R-CNN, RefineDet); other numbers of bottoms and tops.
8. An error: another layer reads the top.  Caffe makes ``[1, 1, boxes, 7]`` of the boxes that it
   found, rows of image, label, score, xmin, ymin, xmax, ymax; ATC makes ``[batch, N, 8]``, where N
   is ``keep_top_k`` rounded up to a multiple of 128, and an eighth column that says nothing.
9. Values that ATC's operator does not take (``share_location: false``, say) are written as they
   are; ``amct lint`` names them (A106).

Sources: hicann/ge docs/zh/user_guides/atc_tools/custom_network_modify_caffe/ssd_prototxt_modify.md
(bottoms, tops, names, shape) and graph_metadef/proto/caffe/caffe.proto (fields); canndev
ops/built-in: framework/caffe_plugin/ssddetectionoutput_plugin.cc (what is read),
op_proto/inc/nn_detect_ops.h (the operator), tbe/impl/ssd_detection_output.py (what it accepts).
Caffe's side: weiliu89/caffe (branch ssd) detection_output_layer.cpp and caffe.proto.
"""

from __future__ import annotations

from typing import List, Sequence, Set

import attrs

from amct_caffe.model.formats.prototxt.document import Layer
from amct_core.errors import ModelError
from amct_core.textproto import Message

CODE_TYPES = {"CORNER": 1, "CENTER_SIZE": 2, "CORNER_SIZE": 3}
"""``PriorBoxParameter.CodeType`` of SSD's Caffe."""

_TYPE, _PARAMETERS = "DetectionOutput", "detection_output_param"
_BOTTOMS = 3
_WITHOUT_EFFECT = ("save_output_param", "visualize", "visualize_threshold", "save_file")
_FIELDS = frozenset(
    {
        *("num_classes", "share_location", "background_label_id", "nms_param", "code_type"),
        *("variance_encoded_in_target", "keep_top_k", "confidence_threshold"),
        *_WITHOUT_EFFECT,
    }
)
_NMS_FIELDS = frozenset({"nms_threshold", "top_k", "eta"})
_BY_HAND = (
    "Or save with the deploy backend 'amct', which leaves the layer as it is, and rewrite it by "
    "hand."
)


def ssd_detection_outputs(layers: Sequence[Layer], file: object = None) -> List[Layer]:
    """Return ``layers`` with an SSDDetectionOutput in the place of each DetectionOutput.

    Args:
        layers: a network for inference; they are not changed.
        file: where they come from, for messages.

    Raises:
        ModelError: a DetectionOutput cannot be expressed as ATC's layer, or its top is read.
        FileFormatError: one of its fields has a value of another kind.
    """
    blobs = {blob for layer in layers for blob in (*layer.bottoms, *layer.tops)}
    result: List[Layer] = []
    for layer in layers:
        if layer.type == _TYPE:
            detection = _DetectionOutput(layer, file)
            detection.check(layers)
            layer = detection.converted(_new_blob(f"{layer.tops[0]}_boxnum", blobs))
        result.append(layer)
    return result


@attrs.frozen
class _DetectionOutput:
    """One layer of SSD, and the file that errors name."""

    layer: Layer
    file: object

    def check(self, layers: Sequence[Layer]) -> None:
        """Refuse bottoms and tops that SSD's layer does not have, and readers of its top."""
        bottoms, tops = len(self.layer.bottoms), self.layer.tops
        drawn = bool(self.layer.parameters(_PARAMETERS).boolean("visualize"))
        if bottoms != _BOTTOMS and not (drawn and bottoms == _BOTTOMS + 1):
            raise self._error(
                "bottom",
                f"it has {bottoms}; expected {_BOTTOMS}: locations, confidences and prior boxes "
                "(and the images, if 'visualize' is true).",
                _BY_HAND,
            )
        if len(tops) != 1:
            raise self._error("top", f"it has {len(tops)}; expected one.", _BY_HAND)
        readers = [f"'{each.name}' ({each.type})" for each in layers if tops[0] in each.bottoms]
        if readers:
            raise self._error(
                "top",
                f"its top '{tops[0]}' is read by {', '.join(readers)}; expected no reader, because "
                "ATC's boxes have another shape: [batch, N, 8], not [1, 1, boxes, 7].",
                f"Take what reads it out, and compute it outside of the model. {_BY_HAND}",
            )

    def converted(self, box_count: str) -> Layer:
        """Return ATC's layer; ``box_count`` is the name of the top with the number of boxes."""
        parameters = self._flat_parameters()
        converted = self.layer.copy()
        converted.message.set("type", "SSDDetectionOutput")
        converted.bottoms = self.layer.bottoms[:_BOTTOMS]
        converted.tops = [box_count, *self.layer.tops]
        converted.message.remove(_PARAMETERS)
        converted.message.remove("transform_param")
        converted.message.set("ssddetectionoutput_param", parameters)
        return converted

    def _flat_parameters(self) -> Message:
        nested = self.layer.parameters(_PARAMETERS)
        nms = nested.message("nms_param") or Message()
        self._check_fields(nested, nms)
        flat = Message()
        flat.set("num_classes", self._classes(nested))
        flat.set("share_location", nested.boolean("share_location", True))
        flat.set("background_label_id", nested.integer("background_label_id", 0))
        flat.set("iou_threshold", nms.number("nms_threshold", 0.3))
        flat.set("top_k", self._top_k(nms))
        flat.set("eta", nms.number("eta", 1.0))
        flat.set("variance_encoded_in_target", nested.boolean("variance_encoded_in_target", False))
        flat.set("code_type", self._code_type(nested))
        flat.set("keep_top_k", nested.integer("keep_top_k", -1))
        flat.set("confidence_threshold", nested.number("confidence_threshold", 0.0))
        return flat

    def _check_fields(self, nested: Message, nms: Message) -> None:
        """Refuse fields that SSD's layer does not have: what they do would be lost."""
        unknown = [entry.name for entry in nested if entry.name not in _FIELDS]
        unknown += [f"nms_param.{entry.name}" for entry in nms if entry.name not in _NMS_FIELDS]
        if unknown:
            raise self._error(
                f"{_PARAMETERS}.{unknown[0]}",
                "SSD's DetectionOutput does not have this field, and ATC's SSDDetectionOutput has "
                "nothing like it.",
                f"Take it out if the network is an SSD. {_BY_HAND} The layer of Faster R-CNN is "
                "FSRDetectionOutput there.",
            )

    def _classes(self, nested: Message) -> int:
        classes = nested.integer("num_classes")
        if classes is None:
            raise self._error(
                f"{_PARAMETERS}.num_classes", "it is missing.", "Say how many classes there are."
            )
        return classes

    def _top_k(self, nms: Message) -> int:
        top_k = nms.integer("top_k")
        if top_k is None or top_k < 0:
            found = "it is missing" if top_k is None else f"it is {top_k}"
            raise self._error(
                f"{_PARAMETERS}.nms_param.top_k",
                f"{found}, with which Caffe takes all boxes into account; ATC needs a number.",
                "Say how many boxes of each class to take, such as 400; training does not depend "
                "on it.",
            )
        return top_k

    def _code_type(self, nested: Message) -> int:
        name = nested.enum("code_type", "CORNER") or ""
        by_name = {**CODE_TYPES, **{str(number): number for number in CODE_TYPES.values()}}
        if name not in by_name:
            known = ", ".join(f"{each} ({number})" for each, number in CODE_TYPES.items())
            raise self._error(
                f"{_PARAMETERS}.code_type", f"it is {name}; expected one of {known}.", _BY_HAND
            )
        return by_name[name]

    def _error(self, field: str, problem: str, remedy: str) -> ModelError:
        return ModelError(
            problem, file=self.file, layer=self.layer.name, field=field, remedy=remedy
        )


def _new_blob(wanted: str, taken: Set[str]) -> str:
    """Return ``wanted``, with underscores behind it if it is taken, and take it."""
    while wanted in taken:
        wanted += "_"
    taken.add(wanted)
    return wanted
